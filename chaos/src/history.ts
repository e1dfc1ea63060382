import { closeSync, openSync, readdirSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Event } from "./event.js";

/** What one process did and saw, as JSON lines. Written at once: a killed process takes none of them with it. */
export class History {
  readonly #file: number;

  constructor(folder: string, proc: string) {
    this.#file = openSync(join(folder, `${proc}.jsonl`), "a");
  }

  record(event: Event): void {
    writeSync(this.#file, `${JSON.stringify(event)}\n`);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** What all processes did and saw, in the order of time. */
export function readHistory(folder: string): readonly Event[] {
  const files = readdirSync(folder).filter((file) => file.endsWith(".jsonl"));
  const lines = files.flatMap((file) => readFileSync(join(folder, file), "utf8").split("\n"));
  const events = lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Event);
  return events.toSorted((one, other) => one.ts - other.ts);
}
