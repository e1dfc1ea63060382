import type { LockEventName, LockEvents, LockListener, LockListeners } from "./events.js";

/** Typed events. A listener that fails is reported as a process warning: it must not end the section it listens to. */
export class Emitter {
  readonly #listeners = new Map<LockEventName, Set<LockListener<LockEventName>>>();

  constructor(listeners: LockListeners = {}) {
    for (const [name, listener] of Object.entries(listeners)) {
      if (listener !== undefined) this.on(name as LockEventName, listener as LockListener<LockEventName>);
    }
  }

  on<Name extends LockEventName>(name: Name, listener: LockListener<Name>): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    // A wrapper of its own, so that the same function added twice is removed once.
    const entry = (event: LockEvents[LockEventName]) => listener(event as LockEvents[Name]);
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  emit<Name extends LockEventName>(name: Name, event: LockEvents[Name]): void {
    for (const listener of this.#listeners.get(name) ?? []) {
      try {
        // A listener may be an async function all the same.
        Promise.resolve(listener(event)).catch(warn);
      } catch (error) {
        warn(error);
      }
    }
  }
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}
