export type LockErrorCode =
  | "LOCK_TIMEOUT"
  | "LOCK_LOST"
  | "LOCK_REENTRY"
  | "LOCK_BACKEND"
  | "LOCK_CLOSED"
  | "LOCK_CONFIG";

/** Base of everything dlock throws of its own accord; compare `code` where two copies of the package may meet. */
export abstract class LockError extends Error {
  abstract readonly code: LockErrorCode;
  readonly key: string | undefined;

  constructor(message: string, key: string | undefined, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
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
    super(message, options.key, options.cause);
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

/** A value that cannot work. Names the `field`, the `value` (a URL without its user and password, of an object only that it is one) and what is `accepted`. */
export class LockConfigError extends LockError {
  static {
    this.prototype.name = "LockConfigError";
  }
  readonly code = "LOCK_CONFIG";
  readonly field: string;
  readonly value: unknown;
  readonly accepted: string;

  constructor(field: string, value: unknown, accepted: string, key?: string, cause?: unknown) {
    const shown = secret.test(field.replace(/^.*\./s, "")) ? "…" : masked(value);
    super(`${field}: ${show(shown)} is not accepted; expected ${accepted}`, key, cause);
    this.field = field;
    this.value = shown;
    this.accepted = accepted;
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

const secret = /pass|secret|token|credential/i;

const list = "an array";
const object = "an object";

/** Errors are printed, with all that hangs on them; credentials are not, also not those of a URL that is no URL because of them. */
function masked(value: unknown): unknown {
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? list : object;
  if (typeof value !== "string") return value;
  return value
    .replace(/(^[^/@]*:\/*|\/\/).*@/s, "$1…@")
    .replace(/([?&][^=&]*(?:pass|secret|token|credential)[^=&]*=)[^&]*/gi, "$1…");
}

function show(value: unknown): string {
  if (value === list || value === object) return value;
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  return String(value);
}
