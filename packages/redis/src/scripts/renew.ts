import { group } from "./group.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Restarts the lease of a hold. Never brings one back, and shortens one only until a deadline: else a request that comes late would
 * shorten what a later one has made longer. Where one claim holds alone it is given one key only: of several, a
 * cluster that moves their slot refuses all.
 *
 * KEYS  lock, and where several may hold: holders, fences
 * ARGV  1 owner
 *       2 ttl, ms
 *       3 µs of the server's clock until which it may shorten the lease, or ""
 * Reply 1: held · 0: gone · -1: came too late to shorten it, nothing was done
 */
export const renewScript: Script = new Script(`${value}
local owner, ttl, shortens = ARGV[1], tonumber(ARGV[2]), ARGV[3] ~= ''
local value, other = lockString()
if other then return other end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if shortens and now > tonumber(ARGV[3]) then return -1 end
if fenceOf(value, owner) then
  if shortens or redis.call('PTTL', KEYS[1]) < ttl then redis.call('PEXPIRE', KEYS[1], ttl) end
  return 1
end
if #KEYS == 1 or not groupOf(value) then return 0 end
${group(2, 3)}
local ends = tonumber(redis.call('ZSCORE', holders, owner) or 0)
if ends <= now then return 0 end
local wanted = now + ttl * 1000
if shortens or wanted > ends then hold(owner, wanted, now) end
return 1
`);
