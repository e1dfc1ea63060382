import { ask } from "./ask.js";
import { openBackend, type Where } from "./backend.js";
import { locksFields } from "./misplaced-option.js";
import { checkFields, checkKey, checkOneOf } from "./check.js";
import { Emitter } from "./emitter.js";
import { checkRequirements } from "./guarantees.js";
import type { Locks } from "./locks.js";
import type { LocksOptions } from "./options.js";
import { Queue } from "./queue.js";
import { Scope } from "./scope.js";
import { checkDefaults } from "./want.js";

/**
 * Opens the locks of a backend: a URL, an entry, a configuration or its file, or a provider, which stays its caller's to
 * close; without it `DLOCK_URL`, `DLOCK_CONFIG` or the nearest `dlock.config.{json,js,mjs,ts}`, up to the folder of `package.json`. Rejects with `LockConfigError`, and with `LockBackendError` only under `connect: true`: else a server
 * that is down is an error of the first call that needs it.
 */
export async function createLocks(where?: Where, options: LocksOptions = {}): Promise<Locks> {
  checkFields("options", options, locksFields);
  const defaults = checkDefaults(options);
  const prefix = options.prefix === undefined || options.prefix === "" ? "" : checkKey(options.prefix, "prefix");
  const connect = checkOneOf("connect", options.connect ?? false, [true, false]);
  const emitter = new Emitter(options.on);
  const { provider, close } = await openBackend(where, { emit: (notice) => emitter.emit("warning", notice) });
  try {
    checkRequirements(provider.guarantees, options.require ?? {});
    if (connect) await ask(async () => provider.connect?.(), defaults.backendTimeout);
  } catch (error) {
    await close();
    throw error;
  }
  return new Scope(new Queue(provider, emitter), defaults, prefix, close);
}
