import assert from "node:assert/strict";
import { type Claim, type FencingToken, isRetryable, type LockProvider } from "@dlock/core";
import { Reference } from "./reference.js";
import { type Schedule, schedules } from "./schedule.js";

const patience = 5_000;

export interface ModelCheck {
  /** Two of them, as two processes have them. */
  readonly providers: readonly [LockProvider, LockProvider];
  /** How many schedules. */
  readonly count: number;
  readonly seed: number;
  /** How many at once; default 16. */
  readonly atOnce?: number | undefined;
}

/** Plays random schedules of readers, writers and permits on a backend and on the reference; rejects where they differ. */
export async function modelCheck({ providers, count, seed, atOnce = 16 }: ModelCheck): Promise<void> {
  const semaphores = providers[0].guarantees.modes.includes("semaphore");
  const waiting = [...schedules(count, seed, semaphores).entries()];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const [index, schedule] = next;
      const played = new Play(providers, schedule, `model-${seed}-${index}`);
      try {
        await played.run();
      } catch (error) {
        waiting.length = 0;
        const shown = JSON.stringify({ seed, index, ...schedule, steps: played.done });
        throw new Error(`the backend and the model differ: ${(error as Error).message}\n${shown}`, { cause: error });
      } finally {
        await played.end();
      }
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

class Play {
  readonly done: unknown[] = [];
  readonly #providers: readonly LockProvider[];
  readonly #schedule: Schedule;
  readonly #key: string;
  readonly #reference: Reference;
  readonly #claims = new Map<number, Claim>();
  readonly #tokens = new Map<number, FencingToken>();
  readonly #seen = new Set<FencingToken>();
  #largest = 0n;
  #largestAlone = 0n;

  constructor(providers: readonly LockProvider[], schedule: Schedule, key: string) {
    this.#providers = providers;
    this.#schedule = schedule;
    this.#key = key;
    this.#reference = new Reference(providers[0]?.guarantees.order === "fifo");
  }

  async run(): Promise<void> {
    for (const step of this.#schedule.steps) {
      this.done.push(step);
      if (step.does === "ask") await this.#ask(step.claim);
      else if (step.does === "release") await this.#release(step.claim);
      else await this.#downgrade(step.claim);
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#claims.values()].map((claim) => claim.release()));
  }

  async #ask(index: number): Promise<void> {
    const { join, ...terms } = this.#schedule.claims[index] as Schedule["claims"][number];
    const expected = this.#reference.expect(index, terms);
    const token = await this.#answer(index, expected === "granted");
    this.done.push(token === undefined ? "refused" : "granted");
    if (expected !== "either") assert.equal(token === undefined ? "refused" : "granted", expected, `claim ${index}`);
    if (token !== undefined && this.#reference.holds(index)) assert.equal(token, this.#tokens.get(index), "its token");
    else if (token !== undefined) {
      // Those who hold together may learn of it in any order; whoever holds alone comes after all of them, and before the next.
      const alone = terms.mode === "exclusive" && terms.limit === 1;
      assert.ok(token > (alone ? this.#largest : this.#largestAlone), `claim ${index} got too small a token`);
      assert.ok(!this.#seen.has(token), `claim ${index} got the token of another hold`);
      this.#seen.add(token);
      if (token > this.#largest) this.#largest = token;
      if (alone) this.#largestAlone = token;
      this.#tokens.set(index, token);
    }
    this.#reference.answered(index, terms, token !== undefined, join);
  }

  /** Where nobody's turn comes at a certain moment, a lock that was let go may take a moment to be had. */
  async #answer(index: number, granted: boolean): Promise<FencingToken | undefined> {
    const fifo = this.#providers[0]?.guarantees.order === "fifo";
    for (const end = performance.now() + 4 * patience; ;) {
      const answer = await this.#claim(index)
        .tryAcquire(performance.now() + patience)
        .catch((error: unknown) => error);
      const late = performance.now() > end;
      // A busy machine may keep an answer from anybody: the same claim is told the same when it asks again.
      if (isRetryable(answer) && !late) continue;
      if (answer instanceof Error) throw answer;
      const token = answer as FencingToken | undefined;
      if (token !== undefined || fifo || !granted || late) return token;
    }
  }

  async #release(index: number): Promise<void> {
    await this.#claims.get(index)?.release();
    // A claim is used once: the next step is that of a new contender on the same terms.
    this.#claims.delete(index);
    this.#reference.released(index);
  }

  async #downgrade(index: number): Promise<void> {
    const { limit } = this.#schedule.claims[index] as Schedule["claims"][number];
    const downgrade = this.#claims.get(index)?.downgrade;
    if (downgrade === undefined || limit !== 1 || !this.#reference.holds(index)) return;
    assert.equal(await this.#claims.get(index)?.downgrade?.(), true, `the downgrade of claim ${index}`);
    this.#reference.downgraded(index);
  }

  #claim(index: number): Claim {
    const known = this.#claims.get(index);
    if (known !== undefined) return known;
    const { peer, ...terms } = this.#schedule.claims[index] as Schedule["claims"][number];
    const request = { key: this.#key, id: crypto.randomUUID(), owner: `claim ${index}`, ttl: 60_000, ...terms };
    const claim = (this.#providers[peer] as LockProvider).claim(request);
    this.#claims.set(index, claim);
    return claim;
  }
}
