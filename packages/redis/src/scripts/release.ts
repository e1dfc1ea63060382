import { fence } from "./fence.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Gives up a hold or a place in line, and hands a freed lock to the first in line who can be told.
 *
 * KEYS  lock, queue, fence
 * ARGV  1 owner
 * Reply 1: it was held · 0: it was not
 */
export const releaseScript: Script = new Script(`${value}
local owner = ARGV[1]
local value = redis.call('GET', KEYS[1])
local held = fenceOf(value, owner)
if held and redis.call('EXISTS', KEYS[2]) == 0 then return redis.call('DEL', KEYS[1]) end
${fence}${handOver}
if held then
  handOver()
  return 1
end
local head = waiting(0)
local left = redis.call('ZREM', KEYS[2], owner, owner .. '~')
if left > 0 and ownerOf(head) == owner then
  -- The first in line watches over the lock; now that is somebody else.
  local successor = waiting(0)
  if not value then handOver() elseif successor then tell(successor, 0) end
end
return 0
`);
