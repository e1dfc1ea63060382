import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Sees to it that every later token of the slot exceeds a floor, if the lock is held. Compared as text: Lua's numbers are
 * not exact beyond 2^53.
 *
 * KEYS  lock, queue, fence, holders, fences
 * ARGV  1 owner
 *       2 floor
 * Reply 1: it will · 0: not held, nothing was done
 */
export const raiseScript: Script = new Script(`${value}
local value, other = lockString()
if other then return other end
local held = fenceOf(value, ARGV[1]) or groupOf(value) and redis.call('HEXISTS', KEYS[5], ARGV[1]) == 1
if not held then return 0 end
local last, floor = redis.call('GET', KEYS[3]) or '', ARGV[2]
if #last < #floor or (#last == #floor and last < floor) then redis.call('SET', KEYS[3], floor) end
return 1
`);
