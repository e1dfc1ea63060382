import { fence } from "./fence.js";
import { group } from "./group.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Ends the holds that were seen, and no other: a repeat of it, or one that comes late, finds none of them. Lets those in who can be
 * told and now may enter.
 *
 * KEYS  lock, queue, fence, holders, fences
 * ARGV  an owner and its fence, in turn
 * Reply how many of them it ended
 */
export const forceReleaseScript: Script = new Script(`${value}${fence}${group(4, 5)}${handOver}
local value, other = lockString()
if other then return other end
local now = serverMicros()
value = purge(value, now)
local ended, after, leave = 0
for place = 1, #ARGV, 2 do
  local owner, fence = ARGV[place], ARGV[place + 1]
  if fenceOf(value, owner) == fence then
    ended, after, leave = ended + 1, false, function() redis.call('DEL', KEYS[1]) end
  elseif groupOf(value) and string.match(redis.call('HGET', fences, owner) or '', '^%d+') == fence then
    after, leave = without(owner, value, now)
    ended, value = ended + 1, after
  end
end
if ended > 0 then handOver(after, leave, now) end
return ended
`);
