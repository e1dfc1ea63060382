import { type ClaimRequest, type FencingToken, type LeaseClaim, LockBackendError, monotonicNow } from "@dlock/core";
import { Ledger, type Page } from "./ledger.js";

/** One contender. Its steps are taken one after the other, so that a release undoes an attempt that is under way. */
export class FileClaim implements LeaseClaim {
  readonly #ledger: Ledger;
  readonly #request: ClaimRequest;
  #released = false;
  #steps: Promise<unknown> = Promise.resolve();

  constructor(folder: string, request: ClaimRequest) {
    this.#ledger = new Ledger(folder, request.key);
    this.#request = request;
  }

  tryAcquire(deadline: number): Promise<FencingToken | undefined> {
    return this.#step(async () => {
      const token = this.#released ? undefined : await this.#take(this.#request);
      if (token === undefined || monotonicNow() < deadline) return token;
      await this.#ledger.expireAt(token, 0);
      throw new LockBackendError("the file system was too slow", { key: this.#request.key, retryable: true });
    });
  }

  renew(ttl: number): Promise<boolean> {
    return this.#step(async () => this.#extend(await this.#ledger.last(), ttl));
  }

  release(): Promise<void> {
    this.#released = true;
    return this.#step(async () => {
      const page = await this.#ledger.last();
      if (page?.claim === this.#request.id) await this.#ledger.expireAt(page.token, 0);
    });
  }

  async #take({ id, ttl }: ClaimRequest): Promise<FencingToken | undefined> {
    // In this order: a page that had expired before it was read cannot be extended any more.
    const now = await this.#ledger.now();
    const page = await this.#ledger.last();
    if (await this.#extend(page, ttl)) return page?.token;
    if (page !== undefined && page.expires > now) return undefined;
    const next: Page = { token: (page?.token ?? 0n) + 1n, claim: id, expires: now + ttl };
    return (await this.#ledger.append(next)) ? next.token : undefined;
  }

  /** Only before a hold expires is it certain that nobody else has found it expired. */
  async #extend(page: Page | undefined, ttl: number): Promise<boolean> {
    const now = await this.#ledger.now();
    if (page?.claim !== this.#request.id || now >= page.expires) return false;
    await this.#ledger.expireAt(page.token, now + ttl);
    if ((await this.#ledger.now()) < page.expires) return true;
    await this.#ledger.expireAt(page.token, 0);
    return false;
  }

  #step<Result>(work: () => Promise<Result>): Promise<Result> {
    const step = this.#steps.then(work);
    // Its caller hears of it; the next step only has to wait.
    this.#steps = step.catch(() => {});
    return step;
  }
}
