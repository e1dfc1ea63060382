import type { LockMode } from "@dlock/core";

/** What a claim asks for, as far as it matters to others. */
export interface Terms {
  readonly mode: LockMode;
  readonly limit: number;
}

type Verdict = "granted" | "refused" | "either";

/** The whole of what shared, exclusive and limited claims of one key may do to each other, in one place and without time. */
export class Reference {
  readonly #fifo: boolean;
  readonly #holds = new Map<number, Terms>();
  readonly #line = new Map<number, Terms>();

  constructor(fifo: boolean) {
    this.#fifo = fifo;
  }

  holds(claim: number): boolean {
    return this.#holds.has(claim);
  }

  /** What an answer to the claim has to be. Without an order, who waits may or may not be taken into account. */
  expect(claim: number, terms: Terms): Verdict {
    if (this.#holds.has(claim)) return "granted";
    const holders = [...this.#holds.values()];
    const before = this.#before(claim);
    if (!fits(terms, holders)) return "refused";
    if (fits(terms, [...holders, ...before])) return "granted";
    return this.#fifo ? "refused" : "either";
  }

  answered(claim: number, terms: Terms, granted: boolean, join: boolean): void {
    if (granted) {
      this.#line.delete(claim);
      if (!this.#holds.has(claim)) this.#holds.set(claim, terms);
    } else if (join && !this.#line.has(claim)) this.#line.set(claim, terms);
  }

  released(claim: number): void {
    this.#holds.delete(claim);
    this.#line.delete(claim);
  }

  downgraded(claim: number): void {
    this.#holds.set(claim, { mode: "shared", limit: 1 });
  }

  #before(claim: number): Terms[] {
    const before: Terms[] = [];
    for (const [other, terms] of this.#line) {
      if (other === claim) break;
      before.push(terms);
    }
    return before;
  }
}

function fits({ mode, limit }: Terms, others: readonly Terms[]): boolean {
  return mode === "shared" ? others.every((other) => other.mode === "shared") : others.length < limit;
}
