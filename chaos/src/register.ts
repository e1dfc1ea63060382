import { type Event, now, type RegisterName } from "./event.js";

type Take = Omit<Extract<Event, { op: "take" }>, "ts" | "proc" | "op">;

/** What the locks guard. The fenced one remembers the largest token it saw and refuses smaller ones; the other takes everything. */
export class Registers {
  readonly #largest = new Map<string, bigint>();
  readonly #holds = new Set<string>();
  readonly #record: (event: Event) => void;

  constructor(record: (event: Event) => void) {
    this.#record = record;
  }

  /** How many sections were entered. */
  get sections(): number {
    return this.#holds.size;
  }

  /** By a reader, or somebody with a permit. */
  read(hold: string): void {
    this.#holds.add(hold);
  }

  take(take: Take): boolean {
    this.#holds.add(take.hold);
    if (take.register === "fenced" && !this.#admits(take)) return false;
    this.#record({ ts: now(), proc: "registers", op: "take", ...take });
    return true;
  }

  #admits({ key, token }: { readonly key: string; readonly token: string; readonly register: RegisterName }): boolean {
    if (BigInt(token) < (this.#largest.get(key) ?? 0n)) return false;
    this.#largest.set(key, BigInt(token));
    return true;
  }
}
