import { LockBackendError, LockConfigError, LockError } from "@dlock/core";

/** Refusals that the same statement or connection may not meet again: deadlocks, waits, shutdowns, overload, tables that are made when they are missed. */
const passing = {
  states: ["08", "40", "53", "55P03", "57", "58", "25006", "25P", "42P01"],
  // Too many connections, shutdown, missing, killed, lock wait, deadlock, NOWAIT, read-only, idle, GET_LOCK's own deadlock.
  numbers: [1040, 1053, 1129, 1146, 1203, 1205, 1213, 1226, 1290, 1317, 1836, 1927, 3058, 3101, 3168, 3169, 3572, 4031],
};
/** User, password, database: for people to mend. */
const misconfigured = { states: ["28", "3D000", "42501"], numbers: [1044, 1045, 1049, 1142, 1698] };
/** With these a server ends the session, whatever the statement in it has done by then. */
const parting = [1053, 1317, 1927, 3169, 4031];

interface Known {
  readonly code?: unknown;
  readonly errno?: unknown;
  readonly sqlState?: unknown;
  readonly severity?: unknown;
}

/** What a driver rejected with, as an error of dlock. `connecting`: no statement was sent. */
export function serverFailure(error: unknown, what: string, connecting = false): LockError {
  if (error instanceof LockError) return error;
  const said = error instanceof Error ? error.message || String((error as Known).code) : String(error);
  if (is(error, misconfigured)) {
    return new LockConfigError("database", what, `one that lets us in: ${said}`, undefined, error);
  }
  return new LockBackendError(`${what} failed: ${said}`, {
    cause: error,
    retryable: !wasRefused(error) || is(error, passing),
    noEffect: connecting || (wasRefused(error) && !wasEnded(error)),
  });
}

/** The server's code for it: SQLSTATE on PostgreSQL, a number on MySQL and MariaDB. */
export function codeOf(error: unknown): string | number | undefined {
  const { cause, code, errno } = (error ?? {}) as Known & { readonly cause?: unknown };
  if (error instanceof LockError) return cause === undefined ? undefined : codeOf(cause);
  return typeof errno === "number" && errno > 0 ? errno : typeof code === "string" ? code : undefined;
}

/** Whether the connection is of no use after it. */
export function endsConnection(error: unknown): boolean {
  return !(error instanceof LockError) && (!wasRefused(error) || wasEnded(error));
}

/** Whether the server answered, so that an autocommit statement did nothing. */
function wasRefused(error: unknown): boolean {
  const { severity, sqlState } = (error ?? {}) as Known;
  return typeof severity === "string" || typeof sqlState === "string";
}

/** A commit that waited for a standby may stand although the session was ended. */
function wasEnded(error: unknown): boolean {
  const { severity } = error as Known;
  return severity === "FATAL" || severity === "PANIC" || parting.includes(codeOf(error) as number);
}

function is(error: unknown, known: { readonly states: readonly string[]; readonly numbers: readonly number[] }) {
  if (!wasRefused(error)) return false;
  const code = codeOf(error);
  return typeof code === "number"
    ? known.numbers.includes(code)
    : known.states.some((state) => code?.startsWith(state));
}
