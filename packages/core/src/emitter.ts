import { checkOneOf } from "./check.js";
import { LockConfigError } from "./errors.js";
import { masked } from "./masked.js";
import { maskedText } from "./masked-text.js";
import type { LockEventName, LockEvents, LockListener, LockListeners } from "./events.js";

/** Typed events. A listener that fails is reported as a process warning: it must not end the section it listens to. */
export class Emitter {
  readonly #listeners: { readonly [Name in LockEventName]: Set<LockListener<LockEventName>> } = {
    contended: new Set(),
    acquired: new Set(),
    abandoned: new Set(),
    renewed: new Set(),
    renewFailed: new Set(),
    lost: new Set(),
    released: new Set(),
    releaseFailed: new Set(),
    backendFailed: new Set(),
    warning: new Set(),
  };

  constructor(listeners: LockListeners = {}) {
    if (typeof listeners !== "object" || listeners === null)
      throw new LockConfigError("on", listeners, "an object of listeners");
    for (const [name, listener] of Object.entries(listeners)) {
      if (listener !== undefined) this.on(name as LockEventName, listener as LockListener<LockEventName>);
    }
  }

  on<Name extends LockEventName>(name: Name, listener: LockListener<Name>): () => void {
    checkOneOf("event", name, Object.keys(this.#listeners));
    if (typeof listener !== "function") throw new LockConfigError(`on ${name}`, listener, "a function");
    const listeners = this.#listeners[name];
    // A wrapper of its own, so that the same function added twice is removed once.
    const entry = (event: LockEvents[LockEventName]) => listener(event as LockEvents[Name]);
    listeners.add(entry);
    return () => listeners.delete(entry);
  }

  emit<Name extends LockEventName>(name: Name, event: LockEvents[Name]): void {
    if (this.#listeners[name].size === 0) return;
    const shown = withoutSecrets(event);
    for (const listener of this.#listeners[name]) tell(listener, shown);
  }
}

/** Providers of third parties report what drivers say, and listeners write it down. */
function withoutSecrets<Event extends LockEvents[LockEventName]>(event: Event): Event {
  const shown = "error" in event ? { ...event, error: masked(event.error) } : event;
  return "message" in shown ? { ...shown, message: maskedText(shown.message, shown.key) } : shown;
}

/** Never throws. */
export function tell<Event>(listener: (event: Event) => void, event: Event): void {
  try {
    // A listener may be an async function all the same.
    Promise.resolve(listener(event)).catch(warn);
  } catch (error) {
    warn(error);
  }
}

function warn(error: unknown): void {
  // As text: an error of another realm, as in Jest, would not be taken for one.
  process.emitWarning(`a listener of dlock failed: ${error instanceof Error ? error.stack : String(error)}`);
}
