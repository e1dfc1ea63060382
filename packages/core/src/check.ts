import { instead } from "./misplaced-option.js";
import { LockConfigError } from "./errors.js";
import { maskedName } from "./masked-text.js";
import type { Signal } from "./signal.js";

const longestTimer = 2 ** 31 - 1;
const longestKey = 1_024;
/** ms; the shortest lease there is. */
export const leastTtl = 10;

/** Refuses what some backend could not tell apart from another key, or not keep at all. */
export function checkKey(key: unknown, field = "key"): string {
  const accepted = `a non-empty, well-formed string without NUL of at most ${longestKey} bytes in UTF-8`;
  if (typeof key !== "string") throw new LockConfigError(field, key, accepted);
  if (key === "" || key.includes("\0") || /\p{Surrogate}/u.test(key) || Buffer.byteLength(key) > longestKey) {
    throw new LockConfigError(field, key, accepted, key);
  }
  return key;
}

/** A ttl: whole ms, as every backend can keep it, and long enough to be renewed at all. */
export function checkTtl(ttl: unknown, key?: string): number {
  if (Number.isInteger(ttl) && (ttl as number) >= leastTtl && (ttl as number) <= longestTimer) return ttl as number;
  throw new LockConfigError("ttl", ttl, `a whole number of milliseconds from ${leastTtl} to ${longestTimer}`, key);
}

/** ms from `least` up to 24 days, or for ever. */
export function checkDuration(field: string, value: unknown, least: number, key?: string): number {
  if (value === Number.POSITIVE_INFINITY) return value;
  if (typeof value === "number" && value >= least && value <= longestTimer) return value;
  throw new LockConfigError(field, value, `milliseconds from ${least} to ${longestTimer}, or Infinity`, key);
}

/** ms from now at which a lease ends by itself: there is no lease for ever. */
export function checkEnd(field: string, value: unknown, key?: string): number {
  if (typeof value === "number" && value >= 0 && value <= longestTimer) return value;
  throw new LockConfigError(field, value, `milliseconds from 0 to ${longestTimer}`, key);
}

export function checkOneOf<Value>(field: string, value: unknown, accepted: readonly Value[], key?: string): Value {
  const found = accepted.find((one) => one === value);
  if (found !== undefined) return found;
  throw new LockConfigError(field, value, accepted.map((one) => JSON.stringify(one)).join(" or "), key);
}

export function checkText(field: string, value: unknown, key?: string): string {
  if (typeof value === "string" && value !== "") return value;
  throw new LockConfigError(field, value, "a non-empty string", key);
}

export function checkSignal(signal: Signal | undefined, key?: string): Signal | undefined {
  if (signal === undefined || typeof signal?.addEventListener === "function") return signal;
  throw new LockConfigError("signal", signal, "an AbortSignal", key);
}

/** An options object with no field but these: a misspelt option must not be a silent default. */
export function checkFields(what: string, options: unknown, fields: readonly string[]): void {
  if (typeof options !== "object" || options === null) throw new LockConfigError(what, options, "an object");
  for (const [field, value] of Object.entries(options)) {
    if (fields.includes(field)) continue;
    // What says nothing may be the rest of a password with & in it, in a URL.
    const shown = value === "" ? "…" : maskedName(field);
    throw new LockConfigError(what, shown, instead(field, fields));
  }
}
