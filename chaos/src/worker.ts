import { LockBackendError, type Lock, type Locks, type LockProvider } from "@dlock/core";
import { setTimeout as sleep } from "node:timers/promises";
import type { Blow, Brief, Order, Report } from "./brief.js";
import { certainty } from "./certainty.js";
import { breakOn, openBroken } from "./defect.js";
import { openLocks } from "./entry.js";
import { type Event, now, type RegisterName } from "./event.js";
import { History } from "./history.js";
import { Listeners } from "./listeners.js";
import { type Plan, planNext } from "./plan.js";
import { Random } from "./random.js";
import { watchStalls } from "./stalls.js";

type Strike = Extract<Order, { order: "strike" }>;
type Body<Value> = Value extends Event ? Omit<Value, "proc" | "ts"> & { readonly ts?: number } : never;

/** The program of a worker process: takes locks, writes what they guard, and says all it does and sees. */
class Worker {
  readonly #brief: Brief;
  readonly #random: Random;
  readonly #history: History;
  readonly #locks: Locks;
  readonly #writes = new Map<number, (accepted: boolean) => void>();
  /** As an application has one for all it does: whoever listens to it has to stop when he is done. */
  readonly #end: AbortSignal;
  #strike: Strike | undefined;
  #leaving = false;
  #attempts = 0;
  #written = 0;

  constructor(brief: Brief, history: History, locks: Locks, end: AbortSignal) {
    this.#end = end;
    this.#brief = brief;
    this.#random = new Random(brief.seed);
    this.#history = history;
    this.#locks = locks;
    locks.on("contended", ({ key, owner }) => {
      // The name of an attempt, where it stands alone.
      if (owner !== this.#brief.proc) this.#record({ op: "wait", hold: owner, key });
      if (this.#strike?.target === "waiter") setTimeout(() => void this.#hit("waiter"), this.#random.between(0, 20));
    });
    locks.on("backendFailed", ({ error }) => this.#trouble(error));
    locks.on("renewFailed", ({ error }) => this.#trouble(error));
    locks.on("releaseFailed", ({ error }) => this.#trouble(error));
  }

  async work(): Promise<void> {
    const stopWatching = watchStalls((from, ts) => this.#record({ op: "stall", from, ts }));
    await Promise.all(Array.from({ length: this.#brief.loops }, () => this.#loop()));
    stopWatching();
  }

  hear(order: Order): void {
    if (order.order === "leave") this.#leaving = true;
    else if (order.order === "strike") this.#strike = order;
    else if (order.order === "spare") this.#strike = undefined;
    else {
      this.#writes.get(order.id)?.(order.accepted);
      this.#writes.delete(order.id);
    }
  }

  async #loop(): Promise<void> {
    while (!this.#leaving) {
      await this.#attempt(planNext(this.#random, this.#brief), `${this.#brief.proc}.${++this.#attempts}`);
      await sleep(this.#random.between(0, 10));
    }
  }

  async #attempt(plan: Plan, hold: string): Promise<void> {
    const { key, options, alone } = plan;
    const { mode, limit, waitTimeout } = options;
    const renews = options.autoRenew;
    this.#record({ op: "acquire", phase: "invoke", hold, key, mode, limit, waitTimeout, alone, renews });
    let lock: Lock;
    try {
      lock = await this.#locks.acquire(key, {
        ...options,
        owner: alone ? hold : this.#brief.proc,
        signal: this.#end,
      });
    } catch (error) {
      const phase = error instanceof LockBackendError ? "info" : "fail";
      this.#record({ op: "acquire", phase, hold, key, why: (error as Error).message });
      return;
    }
    const { signal } = lock;
    const told = (): void => {
      this.#record({ op: "lost", by: "signal", hold, key, why: (signal.reason as Error).message });
    };
    signal.addEventListener("abort", told);
    this.#record({ op: "acquire", phase: "ok", hold, key, token: String(lock.fencingToken) });
    await this.#section(plan, hold, lock);
    signal.removeEventListener("abort", told);
    this.#record({ op: "release", phase: "invoke", hold, key });
    const released = await lock.release();
    this.#record({ op: "release", phase: released ? "ok" : "info", hold, key });
  }

  async #section({ key, holdFor, writes }: Plan, hold: string, lock: Lock): Promise<void> {
    const end = now() + holdFor;
    let entered = false;
    do {
      // Read before the check: what was certain then began no later.
      const ts = now();
      const certain = certainty(lock, lock.ttl);
      if (certain === undefined) {
        this.#record({ op: "lost", by: "step", hold, key });
        return;
      }
      this.#record({ op: "claim", hold, key, ts, until: ts + certain });
      if (!entered && !writes) say({ report: "read", hold });
      entered = true;
      // Between the check and what was checked for: that is where a pause does its harm.
      if (this.#strike?.target === "holder") await this.#hit("holder");
      if (writes) await this.#write(hold, key, lock);
      await sleep(Math.min(this.#random.between(5, 100), Math.max(0, end - now())));
    } while (now() < end && !lock.signal.aborted && !this.#leaving);
  }

  async #write(hold: string, key: string, lock: Lock): Promise<void> {
    const token = String(lock.fencingToken);
    const write = async (register: RegisterName): Promise<void> => {
      this.#record({ op: "write", phase: "invoke", hold, key, register });
      const id = ++this.#written;
      const accepted = new Promise<boolean>((resolve) => this.#writes.set(id, resolve));
      say({ report: "write", id, register, hold, key, token });
      this.#record({ op: "write", phase: (await accepted) ? "ok" : "fail", hold, key, register });
    };
    await Promise.all([write("fenced"), write("unfenced")]);
  }

  async #hit(target: Strike["target"]): Promise<void> {
    const strike = this.#strike;
    if (strike?.target !== target) return;
    this.#strike = undefined;
    // On its way before anything stands still.
    await new Promise<void>((resolve) => process.send?.({ report: "struck" } satisfies Report, () => resolve()));
    this.#suffer(strike.blow);
  }

  #suffer(blow: Blow): void {
    if (blow.how === "block") {
      const end = now() + blow.ms;
      while (now() < end);
      return;
    }
    if (blow.how === "kill") this.#record({ op: "end", how: "killed" });
    process.kill(process.pid, blow.how === "kill" ? "SIGKILL" : "SIGSTOP");
  }

  #trouble(error: unknown): void {
    this.#record({ op: "trouble", what: error instanceof Error ? error.message : String(error) });
  }

  #record(body: Body<Event>): void {
    this.#history.record({ ts: now(), proc: this.#brief.proc, ...body } as Event);
  }
}

function say(report: Report): void {
  // Nobody may be there any more: then its end is near.
  process.send?.(report, () => {});
}

async function main(): Promise<void> {
  const brief = JSON.parse(process.argv[2] ?? "") as Brief;
  // Certainty is asked for with errors, whose traces nobody reads.
  Error.stackTraceLimit = 0;
  const history = new History(brief.folder, brief.proc);
  // A worker whose parent is gone is of no use.
  const orphaned = (): void => process.exit(1);
  process.on("disconnect", orphaned);
  let worker: Worker | undefined;
  process.on("message", (order: Order) => worker?.hear(order));
  const end = new AbortController();
  const listeners = await Listeners.of(end.signal);
  const broken: LockProvider | undefined = brief.defect && breakOn(await openBroken(brief.entry), brief.defect);
  const { locks, close } = await openLocks(brief.entry, {}, broken);
  worker = new Worker(brief, history, locks, end.signal);
  say({ report: "ready" });
  await worker.work();
  await close();
  const left = listeners.left();
  if (left !== undefined) history.record({ ts: now(), proc: brief.proc, op: "end", how: "heard", why: left });
  say({ report: "left" });
  // What keeps it alive now is what was not closed.
  process.off("disconnect", orphaned).disconnect?.();
}

void main();
