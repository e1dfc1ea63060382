import type { Signal } from "./signal.js";

interface Hub {
  readonly callbacks: Set<() => void>;
  readonly listener: () => void;
}

const hubs = new WeakMap<Signal, Hub>();

/**
 * Calls back once when the signal aborts, at once if it has. Returns how to stop listening. A signal gets one listener
 * however many listen, which goes with the last of them: Node 20 warns at eleven, and `AbortSignal.any` leaks.
 */
export function onAbort(signal: Signal, callback: () => void): () => void {
  if (signal.aborted) {
    callback();
    return () => {};
  }
  const hub = hubs.get(signal) ?? open(signal);
  const entry = () => callback();
  hub.callbacks.add(entry);
  return () => {
    if (hub.callbacks.delete(entry) && hub.callbacks.size === 0) close(signal, hub);
  };
}

function open(signal: Signal): Hub {
  const callbacks = new Set<() => void>();
  const listener = () => {
    close(signal, hub);
    for (const callback of callbacks) callback();
  };
  const hub: Hub = { callbacks, listener };
  hubs.set(signal, hub);
  signal.addEventListener("abort", listener);
  return hub;
}

function close(signal: Signal, hub: Hub): void {
  signal.removeEventListener("abort", hub.listener);
  if (hubs.get(signal) === hub) hubs.delete(signal);
}
