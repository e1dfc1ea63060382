import { fence } from "./fence.js";
import { group } from "./group.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Gives up a hold or a place in line, and lets those in who can be told and now may enter.
 *
 * KEYS  lock, queue, fence, holders, fences
 * ARGV  1 owner
 * Reply 1: it was held · 0: it was not
 */
export const releaseScript: Script = new Script(`${value}
local owner = ARGV[1]
local value, other = lockString()
if other then
  redis.call('ZREM', KEYS[2], owner, owner .. '~')
  return other
end
local held = fenceOf(value, owner)
if held and redis.call('EXISTS', KEYS[2]) == 0 then return redis.call('DEL', KEYS[1]) end
${fence}${group(4, 5)}${handOver}
local now = serverMicros()
if held then
  handOver(false, function() redis.call('DEL', KEYS[1]) end, now)
  return 1
end
value = purge(value, now)
if groupOf(value) and redis.call('HEXISTS', fences, owner) == 1 then
  local after, leave = without(owner, value, now)
  handOver(after, leave, now)
  return 1
end
local head = waiting(0)
local left = redis.call('ZREM', KEYS[2], owner, owner .. '~')
if left > 0 and ownerOf(head) == owner then
  -- The first in line watches over the lock; now that is somebody else, who may fit where it did not.
  local successor = waiting(0)
  if successor and fits(kindOf(ownerOf(successor)), value) then
    handOver(value, function() end, now)
  elseif successor then
    tell(successor, 0)
  end
end
return 0
`);
