import { acquireAll } from "./acquire-all.js";
import { ask } from "./ask.js";
import { checkDuration, checkFields, checkKey } from "./check.js";
import { LockConfigError, LockLostError, LockReentryError } from "./errors.js";
import type { LockEventName, LockListener } from "./events.js";
import type { Guarantees } from "./guarantees.js";
import { runHolding, sectionAround } from "./held.js";
import type { HeldLock } from "./held-lock.js";
import type { Lock } from "./lock.js";
import type { LockSet } from "./lock-set.js";
import type { Locks, Task } from "./locks.js";
import type { AcquireOptions, CloseOptions, TryOptions } from "./options.js";
import type { LockStatus } from "./provider.js";
import type { Queue } from "./queue.js";
import { checkWant, type Defaults } from "./want.js";

// However long a backend is put up with while locks are wanted.
const longestGoodbye = 10_000;

/** The locks whose keys start with one prefix. */
export class Scope implements Locks {
  readonly #queue: Queue;
  readonly #defaults: Defaults;
  readonly #prefix: string;
  /** Closes the provider, where it is ours to close; left out in scopes that were derived. */
  readonly #closeProvider: (() => Promise<void>) | undefined;
  #closing: Promise<void> | undefined;

  constructor(queue: Queue, defaults: Defaults, prefix: string, closeProvider?: () => Promise<void>) {
    this.#queue = queue;
    this.#defaults = defaults;
    this.#prefix = prefix;
    this.#closeProvider = closeProvider;
  }

  get guarantees(): Guarantees {
    return this.#queue.provider.guarantees;
  }

  withLock<Result>(key: string, task: Task<Result>): Promise<Result>;
  withLock<Result>(key: string, options: AcquireOptions | undefined, task: Task<Result>): Promise<Result>;
  async withLock<Result>(key: string, ...rest: Section<Result, AcquireOptions>): Promise<Result> {
    const { options, task } = parse(key, rest);
    return runSection(await this.#acquire(key, options), task);
  }

  tryWithLock<Result>(key: string, task: Task<Result>): Promise<{ readonly result: Result } | undefined>;
  tryWithLock<Result>(
    key: string,
    options: TryOptions | undefined,
    task: Task<Result>,
  ): Promise<{ readonly result: Result } | undefined>;
  async tryWithLock<Result>(
    key: string,
    ...rest: Section<Result, TryOptions>
  ): Promise<{ result: Result } | undefined> {
    const { options, task } = parse(key, rest);
    const lock = await this.#tryAcquire(key, options);
    return lock && { result: await runSection(lock, task) };
  }

  async acquire(key: string, options?: AcquireOptions): Promise<Lock> {
    return this.#acquire(key, options);
  }

  async tryAcquire(key: string, options?: TryOptions): Promise<Lock | undefined> {
    return this.#tryAcquire(key, options);
  }

  async acquireAll(keys: readonly string[], options: AcquireOptions = {}): Promise<LockSet> {
    const { waitTimeout = this.#defaults.waitTimeout } = options;
    return acquireAll(keys, (key, rest) => this.#acquire(key, rest), { ...options, waitTimeout });
  }

  prefixed(prefix: string): Locks {
    return new Scope(this.#queue, this.#defaults, this.#prefix + checkKey(prefix, "prefix"));
  }

  async inspect(key: string): Promise<LockStatus> {
    const { provider } = this.#queue;
    const whole = this.#whole(key);
    this.#queue.checkOpen(whole);
    const call = provider.inspect?.bind(provider);
    if (!call) throw new LockConfigError("inspect", key, "a backend whose provider can inspect", whole);
    return ask(() => call(whole), this.#defaults.backendTimeout, whole);
  }

  on<Name extends LockEventName>(name: Name, listener: LockListener<Name>): () => void {
    return this.#queue.emitter.on(name, listener);
  }

  async close(options: CloseOptions = {}): Promise<void> {
    checkFields("options", options, ["grace"]);
    const grace = checkDuration("grace", options.grace ?? 0, 0);
    if (this.#closeProvider) await (this.#closing ??= this.#close(grace, this.#closeProvider));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(grace: number, closeProvider: () => Promise<void>): Promise<void> {
    await this.#queue.close(grace, Math.min(this.#defaults.backendTimeout, longestGoodbye));
    await closeProvider();
  }

  async #acquire(key: string, options: AcquireOptions = {}): Promise<HeldLock> {
    const want = checkWant(this.#whole(key), options, this.#defaults, false);
    const inside = sectionAround(this.#queue, want.key);
    if (inside === undefined) return this.#queue.acquire(want);
    const upgrade = inside.hold.mode === "shared" && want.mode === "exclusive";
    if (!want.reentrant || upgrade) throw new LockReentryError(want.key, { upgrade });
    inside.hold.checkLimit(want);
    inside.hold.checkAlive(want.alive);
    return this.#queue.reenter(want, inside);
  }

  async #tryAcquire(key: string, options: TryOptions = {}): Promise<HeldLock | undefined> {
    const want = checkWant(this.#whole(key), options, this.#defaults, true);
    const inside = want.reentrant ? sectionAround(this.#queue, want.key) : undefined;
    if (inside === undefined) return this.#queue.tryAcquire(want);
    inside.hold.checkLimit(want);
    inside.hold.checkAlive(want.alive);
    return inside.hold.mode === "shared" && want.mode === "exclusive"
      ? undefined
      : this.#queue.tryReenter(want, inside);
  }

  /** The key is checked before the prefix could hide that it is empty or no string at all. */
  #whole(key: string): string {
    return checkKey(this.#prefix + checkKey(key));
  }
}

type Section<Result, Options> = readonly [Task<Result>] | readonly [Options | undefined, Task<Result>];

function parse<Result, Options>(
  key: string,
  rest: Section<Result, Options>,
): { options: Options | undefined; task: Task<Result> } {
  const [options, task] = rest.length === 1 ? [undefined, rest[0]] : rest;
  if (typeof task !== "function") throw new LockConfigError("task", task, "a function", key);
  return { options, task };
}

async function runSection<Result>(lock: HeldLock, task: Task<Result>): Promise<Result> {
  let result: Result;
  try {
    result = await runHolding(lock, () => task(lock));
  } catch (error) {
    await lock.release();
    throw error;
  }
  const cause = lock.loss();
  await lock.release();
  if (cause) throw new LockLostError(lock.key, "was lost before its task returned", { cause, result });
  return result;
}
