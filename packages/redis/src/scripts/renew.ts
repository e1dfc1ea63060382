import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Restarts the lease of a hold. Never brings one back. One key only: of several, a cluster that moves their slot refuses all.
 *
 * KEYS  lock
 * ARGV  1 owner
 *       2 ttl, ms
 * Reply 1: held · 0: gone
 */
export const renewScript: Script = new Script(`${value}
if not fenceOf(redis.call('GET', KEYS[1]), ARGV[1]) then return 0 end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
`);
