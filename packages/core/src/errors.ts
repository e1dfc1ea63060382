import { masked } from "./masked.js";
import { isSecret, maskedText, maskedValue } from "./masked-text.js";

export type LockErrorCode =
  | "LOCK_TIMEOUT"
  | "LOCK_LOST"
  | "LOCK_REENTRY"
  | "LOCK_BACKEND"
  | "LOCK_CLOSED"
  | "LOCK_CONFIG";

/** Base of everything dlock throws of its own accord; compare `code` where two copies of the package may meet. No `cause` shows credentials. */
export abstract class LockError extends Error {
  abstract readonly code: LockErrorCode;
  readonly key: string | undefined;

  constructor(message: string, key: string | undefined, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause: masked(cause) });
    this.key = key;
  }
}

/** The wait ended at `waitTimeout`; nothing is held and no place in line is left. */
export class LockTimeoutError extends LockError {
  static {
    this.prototype.name = "LockTimeoutError";
  }
  readonly code = "LOCK_TIMEOUT";
  /** ms */
  readonly waitTimeout: number;

  constructor(key: string, waitTimeout: number, cause?: unknown) {
    super(`"${key}" was not free within ${waitTimeout} ms`, key, cause);
    this.waitTimeout = waitTimeout;
  }
}

/** The hold ended before its holder gave it up. When a `withLock` task returned all the same, `result` is its value (`"result" in error`). */
export class LockLostError extends LockError {
  static {
    this.prototype.name = "LockLostError";
  }
  readonly code = "LOCK_LOST";
  declare readonly result?: unknown;

  constructor(key: string, why: string, options: { readonly cause?: unknown; readonly result?: unknown } = {}) {
    super(`the hold on "${key}" ${why}`, key, options.cause);
    if ("result" in options) this.result = options.result;
  }
}

/** The calling async context holds this key already and did not ask for `reentrant`: waiting would wait for itself. */
export class LockReentryError extends LockError {
  static {
    this.prototype.name = "LockReentryError";
  }
  readonly code = "LOCK_REENTRY";

  constructor(key: string, { upgrade = false }: { readonly upgrade?: boolean } = {}) {
    const held = upgrade
      ? `"${key}" is held shared by the withLock this call runs in: to take it exclusively would wait for itself; ask for exclusive first and downgrade()`
      : `"${key}" is held by the withLock this call runs in: waiting for it would never end; reentrant: true shares that hold`;
    super(held, key);
  }
}

export interface LockBackendErrorOptions {
  readonly key?: string | undefined;
  readonly cause?: unknown;
  /** The same call may succeed later: waiters ride it out until `backendTimeout`. Default false. */
  readonly retryable?: boolean | undefined;
  /** The call certainly did not and will not take effect: nothing was sent. Default false, nobody knows. */
  readonly noEffect?: boolean | undefined;
}

/** The backend failed or stayed silent: whether the call took effect is unknown, unless `noEffect`. `cause` is the driver's error. */
export class LockBackendError extends LockError {
  static {
    this.prototype.name = "LockBackendError";
  }
  readonly code = "LOCK_BACKEND";
  readonly retryable: boolean;
  readonly noEffect: boolean;

  constructor(message: string, options: LockBackendErrorOptions = {}) {
    super(maskedText(message, options.key), options.key, options.cause);
    this.retryable = options.retryable ?? false;
    this.noEffect = options.noEffect ?? false;
  }
}

/** `close()` was called: nothing new is taken, and waiters end with this. */
export class LockClosedError extends LockError {
  static {
    this.prototype.name = "LockClosedError";
  }
  readonly code = "LOCK_CLOSED";

  constructor(key?: string) {
    super("these locks are closed", key);
  }
}

/** A value that cannot work. Names the `field`, the `value` (of a URL its scheme, hosts, path and the names in its query, of an object only that it is one) and what is `accepted`. */
export class LockConfigError extends LockError {
  static {
    this.prototype.name = "LockConfigError";
  }
  readonly code = "LOCK_CONFIG";
  readonly field: string;
  readonly value: unknown;
  readonly accepted: string;

  constructor(field: string, value: unknown, accepted: string, key?: string, cause?: unknown) {
    const [, path = field] = /: (.*)$/s.exec(field) ?? [];
    const shown = typeof value === "string" ? maskedValue(value, path, key) : isSecret(path) ? "…" : kindOf(value);
    const place = maskedText(field);
    // What is accepted may quote what is not.
    const quotes = typeof value === "string" && value !== shown && value.length > 5;
    const wanted = maskedText(quotes ? accepted.replaceAll(value, () => String(shown)) : accepted);
    super(`${place}: ${show(shown)} is not accepted; expected ${wanted}`, key, cause);
    this.field = place;
    this.value = shown;
    this.accepted = wanted;
  }

  /** The same mistake, with where the field stands: `file: `, or the path of the object it is in. */
  within(place: string): LockConfigError {
    const field = place.endsWith(" ") ? `${place}${this.field}` : `${place}.${this.field}`;
    return new LockConfigError(field, this.value, this.accepted, this.key, this.cause);
  }
}

const codes: readonly unknown[] = [
  "LOCK_TIMEOUT",
  "LOCK_LOST",
  "LOCK_REENTRY",
  "LOCK_BACKEND",
  "LOCK_CLOSED",
  "LOCK_CONFIG",
] satisfies LockErrorCode[];

/** Whether it is an error of dlock, of this copy of the package or of another one. */
export function isLockError(error: unknown): error is LockError {
  return error instanceof LockError || (error instanceof Error && "code" in error && codes.includes(error.code));
}

/** Whether the same call may succeed later. */
export function isRetryable(error: unknown): boolean {
  return typeof error === "object" && error !== null && "retryable" in error && error.retryable === true;
}

/** Whether the call that rejected with it certainly did nothing. */
export function hadNoEffect(error: unknown): boolean {
  return typeof error === "object" && error !== null && "noEffect" in error && error.noEffect === true;
}

/** What a provider rejected with, as an error of dlock. */
export function asLockError(error: unknown, key?: string): LockError {
  if (isLockError(error)) return error;
  const said = error instanceof Error ? error.message : String(error);
  const about = key === undefined ? "" : ` about "${key}"`;
  return new LockBackendError(`the backend failed${about}: ${said}`, {
    key,
    cause: error,
    retryable: isRetryable(error),
  });
}

/** The answer came when the hold it tells of may have ended: it proves nothing any more. */
export function lateAnswer({ key, ttl }: { readonly key: string; readonly ttl: number }): LockBackendError {
  return new LockBackendError(
    `the answer about "${key}" came too late: its lease of ${ttl} ms or its session was over`,
    {
      key,
      retryable: true,
    },
  );
}

const kinds = { list: "an array", object: "an object", function: "a function" } as const;

/** Errors are printed with all that hangs on them: of what may have credentials anywhere in it, they keep no more than its kind. */
function kindOf(value: unknown): unknown {
  if (typeof value === "function") return kinds.function;
  if (typeof value !== "object" || value === null) return value;
  return Array.isArray(value) ? kinds.list : kinds.object;
}

function show(value: unknown): string {
  if (Object.values<unknown>(kinds).includes(value)) return value as string;
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  return String(value);
}
