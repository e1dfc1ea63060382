import assert from "node:assert/strict";
import type { Claim, FencingToken } from "@dlock/core";
import type { Stage } from "./stage.js";
import { later, now, sleep, within } from "./time.js";

/** Who waits from now on for being told that it is worth asking, where the backend tells. */
export function listening(stage: Stage, ...claims: readonly Claim[]): (patience?: number) => Promise<void> {
  const over = new AbortController();
  stage.finally(() => over.abort());
  const turns = claims.map((claim) => later(Promise.resolve(claim.waitTurn?.(over.signal))));
  return async (patience = stage.slack) => {
    await within(patience, Promise.all(turns), "being told that it is worth asking");
  };
}

/** Asks and waits in turn, as core does, until the claim holds. */
export async function served(stage: Stage, claim: Claim, patience: number, what: string): Promise<FencingToken> {
  const end = now() + patience;
  for (;;) {
    const token = await stage.ask(claim);
    if (token !== undefined) return token;
    assert.ok(now() < end, `${what} was not to be had within ${Math.round(patience)} ms`);
    if (claim.waitTurn) await listening(stage, claim)(end - now());
    else await sleep(5);
  }
}

/** The place of a holder that is gone: nobody else's before `end`, this claim's soon after `lifetime`, counted from now. */
export async function outlasts(stage: Stage, claim: Claim, end: number, lifetime: number): Promise<void> {
  const last = now() + lifetime + stage.slack;
  // Core trusts a lease for 1 % and 2 ms less than its ttl: as much may the clocks differ.
  for (const sure = end - lifetime / 100 - 2; now() < sure; await sleep(Math.min(5, sure - now()))) {
    const token = await stage.ask(claim);
    if (token !== undefined) return assert.ok(now() >= sure, `given away ${Math.round(sure - now())} ms too early`);
  }
  await served(stage, claim, last - now(), "the place of a holder that is gone");
}
