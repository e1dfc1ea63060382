import { watch } from "@dlock/testbed";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What happens to clocks: they go forward by an hour, or back. */
export type Change = "summer-time-begins" | "summer-time-ends";

const every = 2;
const [before, after] = [2 * 3_600, 48 * 3_600];
const types = [
  { offset: 3_600, summer: 0, name: "CET" },
  { offset: 7_200, summer: 1, name: "CEST" },
] as const;

/** A time zone with an autumn and a spring every few seconds: the changes come to the clock, which need not be moved to them. */
export class ChangingZone {
  /** For the environment of a server of this machine: `TZ`. */
  readonly name: string;
  readonly #folder: string;
  readonly #forget: () => void;
  /** Of the first change, in s since 1970; summer time begins. */
  readonly #first = 2 * every * Math.floor((Date.now() / 1_000 - before) / (2 * every));

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "dlock-zone-"));
    this.#forget = watch({ kind: "folder", path: this.#folder });
    // For the servers' user as well.
    chmodSync(this.#folder, 0o755);
    const file = join(this.#folder, "zone");
    writeFileSync(file, this.#compiled());
    this.name = `:${file}`;
  }

  /** The next time, in ms since 1970, at which this happens. */
  next(change: Change, from: number): number {
    const first = (this.#first + (change === "summer-time-begins" ? 0 : every)) * 1_000;
    const period = 2 * every * 1_000;
    return first + Math.ceil((from - first) / period) * period;
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
    this.#forget();
  }

  /** As zic would write it: TZif, version 2, whose first half is for readers of version 1 (RFC 9636). */
  #compiled(): Buffer {
    const count = (before + after) / every;
    const [times, kinds] = [Buffer.alloc(count * 8), Buffer.alloc(count)];
    for (let n = 0; n < count; n++) {
      times.writeBigInt64BE(BigInt(this.#first + n * every), n * 8);
      kinds.writeUInt8((n + 1) % 2, n);
    }
    return Buffer.concat([header(0), typesAndNames, header(count), times, kinds, typesAndNames, Buffer.from("\n\n")]);
  }
}

const names = Buffer.from(types.map(({ name }) => `${name}\0`).join(""));
const typesAndNames = Buffer.concat([
  ...types.map(({ offset, summer, name }) => {
    const type = Buffer.alloc(6);
    type.writeInt32BE(offset);
    type.writeUInt8(summer, 4);
    type.writeUInt8(names.indexOf(`${name}\0`), 5);
    return type;
  }),
  names,
]);

function header(changes: number): Buffer {
  const counts = Buffer.alloc(24);
  for (const [n, count] of [0, 0, 0, changes, types.length, names.length].entries()) counts.writeUInt32BE(count, n * 4);
  return Buffer.concat([Buffer.from("TZif2".padEnd(20, "\0")), counts]);
}
