import type { LockProvider } from "./provider.js";
import { MemoryProvider } from "./memory/memory-provider.js";
import { MemoryStore } from "./memory/memory-store.js";

export type { MemoryStore };

export interface MemoryOptions {
  /** ms since 1970, the clock of leases and tokens; default: one that never jumps. */
  readonly now?: (() => number) | undefined;
  /** Shared with other providers over the same one; its clock is then the one that counts. */
  readonly store?: MemoryStore | undefined;
}

/** A store for several providers, as several clients of one server. */
export function memoryStore(options: Pick<MemoryOptions, "now"> = {}): MemoryStore {
  return new MemoryStore(options.now ?? (() => performance.timeOrigin + performance.now()));
}

/** Locks within this process: FIFO, leases, fencing tokens; nothing to run. */
export function memoryProvider(options: MemoryOptions = {}): LockProvider {
  return new MemoryProvider(options.store ?? memoryStore(options));
}
