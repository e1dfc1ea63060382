import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Shows the lock and its line, and changes nothing.
 *
 * KEYS  lock, queue, fence, holders, fences
 * Reply {the lock string or "", its pttl, the members of the queue in their order, the fences of several holders by owner, the µs until each hold ends by owner}
 */
export const inspectScript: Script = new Script(`${value}
local value, other = lockString()
if other then return other end
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local ends = {}
for _, item in ipairs(redis.call('ZRANGE', KEYS[4], 0, -1)) do
  ends[#ends + 1] = item
  ends[#ends + 1] = string.format('%.0f', redis.call('ZSCORE', KEYS[4], item) - now)
end
return {
  value or '', redis.call('PTTL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1),
  redis.call('HGETALL', KEYS[5]), ends
}
`);
