import { group } from "./group.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Restarts the lease of a hold. Never brings one back. Where one claim holds alone it is given one key only: of several, a
 * cluster that moves their slot refuses all.
 *
 * KEYS  lock, and where several may hold: holders, fences
 * ARGV  1 owner
 *       2 ttl, ms
 * Reply 1: held · 0: gone
 */
export const renewScript: Script = new Script(`${value}
local owner = ARGV[1]
local value, other = lockString()
if other then return other end
if fenceOf(value, owner) then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if #KEYS == 1 or not groupOf(value) then return 0 end
${group(2, 3)}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = redis.call('ZSCORE', holders, owner)
if not ends or tonumber(ends) <= now then return 0 end
hold(owner, now + ARGV[2] * 1000, now)
return 1
`);
