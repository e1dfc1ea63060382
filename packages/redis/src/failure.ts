import { LockBackendError, LockConfigError, LockError } from "@dlock/core";

/** Refusals that pass: the same command may succeed later. Redis before 7 wraps them in the error of the script. */
const passing = [
  "LOADING",
  "READONLY",
  "MASTERDOWN",
  "CLUSTERDOWN",
  "TRYAGAIN",
  "BUSY",
  "OOM",
  "MOVED",
  "ASK",
  "NOSCRIPT",
  "NOREPLICAS",
  "MISCONF",
];

/** How a server starts its answer to whoever it does not let in. */
const strangers = ["WRONGPASS", "NOAUTH", "ERR invalid password"];

/** What the driver rejected with, as an error of dlock. */
export function failure(error: unknown, key?: string): LockError {
  if (error instanceof LockError) return error;
  const about = key === undefined ? "" : ` about "${key}"`;
  const said = error instanceof Error ? error.message : String(error);
  if (isStranger(error)) {
    const accepted = `the password of a user whom the server lets in; it said: ${said}`;
    return new LockConfigError("password", undefined, accepted, key, withoutArguments(error));
  }
  const noEffect = isRefusal(error) || said.includes("enableOfflineQueue options is false");
  return new LockBackendError(`redis failed${about}: ${said}`, {
    key,
    cause: withoutArguments(error),
    retryable: passes(error),
    noEffect,
  });
}

/** Whether the server does not let this user in. */
export function isStranger(error: unknown): boolean {
  return isRefusal(error) && strangers.some((start) => error.message.startsWith(start));
}

/** Whether the server said that the user lacks a right. */
export function isDenied(error: unknown): boolean {
  return error instanceof Error && error.message.includes("NOPERM");
}

export function isReadOnly(error: Error): boolean {
  return error.message.includes("READONLY");
}

/** Whether the script has to be sent in full. */
export function isUnknownScript(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith("NOSCRIPT");
}

/** Anything but a refusal of the server: a connection that broke, a server that is silent. */
export function passes(error: unknown): boolean {
  return !isRefusal(error) || passing.some((code) => error.message.includes(code));
}

/** Whether the server answered: it did not take the lock, and will not. */
export function isRefusal(error: unknown): error is Error {
  return error instanceof Error && error.name === "ReplyError";
}

/** The driver attaches the command to its errors, also to one that hangs on another: of a handshake, that is the password. */
export function withoutArguments(error: unknown): unknown {
  if (typeof error !== "object" || error === null) return error;
  if ("command" in error) {
    const { name } = error.command as { readonly name?: unknown };
    error.command = { name };
  }
  if ("lastNodeError" in error) withoutArguments(error.lastNodeError);
  if ("cause" in error) withoutArguments(error.cause);
  return error;
}
