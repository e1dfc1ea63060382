import type { Claim, ClaimRequest, FencingToken, Signal } from "@dlock/core";
import { clientOf, Forwarding } from "./forwarding.js";

/** Whoever was woken takes it that the lock is his. */
export const trustsItsWaking = clientOf(
  class extends Forwarding {
    #woken = false;

    override async waitTurn(signal: Signal): Promise<void> {
      await super.waitTurn(signal);
      this.#woken = !signal.aborted;
    }

    override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
      const woken = this.#woken;
      this.#woken = false;
      const token = await super.tryAcquire(deadline);
      return token ?? (woken ? BigInt(Math.floor((performance.timeOrigin + performance.now()) * 1_000)) : undefined);
    }
  },
);

/** Asks whether the turn has come before it listens for it, and forgets the answer: only its fallback timer helps. */
export const subscribesTooLate = clientOf(
  class extends Forwarding {
    override waitTurn(signal: Signal): Promise<void> {
      return nextTurn(this.remote, signal, 400);
    }
  },
);

/** A turn that comes from now on; one that has come already only after `fallback` ms. */
async function nextTurn(claim: Claim, signal: Signal, fallback: number): Promise<void> {
  const turn = Promise.resolve(claim.waitTurn?.(signal)).then(() => true);
  const there = await Promise.race([turn, new Promise((resolve) => setImmediate(resolve))]);
  if (there !== true || signal.aborted) return void (await turn);
  await Promise.race([aborts(signal), new Promise((resolve) => setTimeout(resolve, fallback).unref())]);
}

export const waitsRegardless = clientOf(
  class extends Forwarding {
    override waitTurn(): Promise<void> {
      return super.waitTurn(new AbortController().signal);
    }
  },
);

export const leavesListeners = clientOf(
  class extends Forwarding {
    override waitTurn(signal: Signal): Promise<void> {
      signal.addEventListener("abort", () => {});
      return super.waitTurn(signal);
    }
  },
);

/** As `waitTurn` by a timer, under the name of push. */
export const pollsInSecret = clientOf(
  class extends Forwarding {
    override async waitTurn(signal: Signal): Promise<void> {
      const aborter = new AbortController();
      const stop = (): void => aborter.abort();
      const timer = setTimeout(stop, 20);
      signal.addEventListener("abort", stop);
      if (signal.aborted) stop();
      await super.waitTurn(aborter.signal);
      clearTimeout(timer);
      signal.removeEventListener("abort", stop);
    }
  },
);

/** Its subscription goes with the connection, and nobody makes a new one. */
export const subscribesOnce = clientOf(
  class extends Forwarding {
    override async waitTurn(signal: Signal): Promise<void> {
      await super.waitTurn(signal);
      if (!signal.aborted && !(await answers(this.remote, this.request))) await aborts(signal);
    }
  },
);

/** Subscribes again when the connection is back, and does not look what it missed. */
export const missesTheGap = clientOf(
  class extends Forwarding {
    override async waitTurn(signal: Signal): Promise<void> {
      await super.waitTurn(signal);
      if (signal.aborted || (await answers(this.remote, this.request))) return;
      while (!signal.aborted && !(await answers(this.remote, this.request)))
        await new Promise((resolve) => setTimeout(resolve, 5));
      await nextTurn(this.remote, signal, 60_000);
    }
  },
);

function answers(claim: Claim, { ttl }: ClaimRequest): Promise<boolean> {
  return Promise.resolve(claim.renew?.(ttl)).then(
    () => true,
    () => false,
  );
}

function aborts(signal: Signal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
