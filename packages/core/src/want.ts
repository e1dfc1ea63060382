import { hostname } from "node:os";
import { checkDuration, checkFields, checkKey, checkOneOf, checkSignal, checkText, checkTtl } from "./check.js";
import { LockConfigError } from "./errors.js";
import type { AcquireOptions, LocksOptions } from "./options.js";
import type { LockMode } from "./provider.js";
import type { Signal } from "./signal.js";

/** One call, checked and with its defaults filled in. */
export interface Want {
  readonly key: string;
  readonly owner: string;
  readonly ttl: number;
  readonly mode: LockMode;
  readonly limit: number;
  readonly reentrant: boolean;
  readonly autoRenew: boolean;
  readonly maxHold: number;
  readonly waitTimeout: number;
  readonly backendTimeout: number;
  readonly signal: Signal | undefined;
  readonly alive: "lease" | undefined;
}

export type Defaults = Pick<Want, "ttl" | "owner" | "waitTimeout" | "backendTimeout">;

const tryFields = [
  "ttl",
  "autoRenew",
  "maxHold",
  "backendTimeout",
  "signal",
  "mode",
  "limit",
  "reentrant",
  "owner",
  "alive",
];
const acquireFields = [...tryFields, "waitTimeout"];

export function checkDefaults(options: LocksOptions): Defaults {
  const { ttl = 30_000, waitTimeout = Number.POSITIVE_INFINITY, backendTimeout = 10_000 } = options;
  return {
    ttl: checkTtl(ttl),
    owner: checkText("owner", options.owner ?? `${hostname()}:${process.pid}`),
    waitTimeout: checkDuration("waitTimeout", waitTimeout, 0),
    backendTimeout: checkDuration("backendTimeout", backendTimeout, 1),
  };
}

/** Throws `LockConfigError` that names the field, the value and what is accepted. */
export function checkWant(key: string, options: AcquireOptions, defaults: Defaults, once: boolean): Want {
  checkKey(key);
  checkFields("options", options, once ? tryFields : acquireFields);
  const { autoRenew = true, maxHold = Number.POSITIVE_INFINITY, mode = "exclusive", limit = 1, signal } = options;
  const { ttl = defaults.ttl, waitTimeout = defaults.waitTimeout, backendTimeout = defaults.backendTimeout } = options;
  if (!Number.isSafeInteger(limit) || limit < 1)
    throw new LockConfigError("limit", limit, "a whole number from 1", key);
  if (mode === "shared" && limit !== 1) {
    throw new LockConfigError("limit", limit, "1 for a shared lock: there is no limit to readers", key);
  }
  return {
    key,
    owner: checkText("owner", options.owner ?? defaults.owner, key),
    ttl: checkTtl(ttl, key),
    mode: checkOneOf("mode", mode, ["exclusive", "shared"], key),
    limit,
    reentrant: checkOneOf("reentrant", options.reentrant ?? false, [true, false], key),
    autoRenew: checkOneOf("autoRenew", autoRenew, [true, false], key),
    maxHold: checkDuration("maxHold", maxHold, 1, key),
    waitTimeout: once ? 0 : checkDuration("waitTimeout", waitTimeout, 0, key),
    backendTimeout: checkDuration("backendTimeout", backendTimeout, 1, key),
    signal: checkSignal(signal, key),
    alive: options.alive === undefined ? undefined : checkOneOf("alive", options.alive, ["lease"], key),
  };
}

/** What every event about a call names. */
export function about({ key, owner, mode }: Want): Pick<Want, "key" | "owner" | "mode"> {
  return { key, owner, mode };
}
