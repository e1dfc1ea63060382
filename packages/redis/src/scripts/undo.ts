import { fence } from "./fence.js";
import { group } from "./group.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Takes back a hold that too few replicas acknowledged. A claim that waited keeps its place: the next in line would meet
 * the same replicas.
 *
 * KEYS  lock, queue, fence, holders, fences
 * ARGV  1 owner
 *       2 ticket, or ""
 *       3 "1": this process cannot be told
 *       4 fence of the hold: what comes late leaves a later hold alone
 * Reply 1: it was held · 0: it was not
 */
export const undoScript: Script = new Script(`${value}${fence}${group(4, 5)}${handOver}
local owner, ticket, fence = ARGV[1], ARGV[2], ARGV[4]
local now = serverMicros()
local value, other = lockString()
if other then return other end
value = purge(value, now)
local after, leave = false, function() redis.call('DEL', KEYS[1]) end
if groupOf(value) and string.match(redis.call('HGET', fences, owner) or '', '^%d+') == fence then
  after, leave = without(owner, value, now)
elseif fenceOf(value, owner) ~= fence then
  return 0
end
if ticket ~= '' then
  leave()
  redis.call('ZADD', KEYS[2], 'NX', ticket, owner .. (ARGV[3] == '1' and '~' or ''))
  redis.call('PEXPIRE', KEYS[2], 60000)
else
  handOver(after, leave, now)
end
return 1
`);
