import { mark } from "../layout.js";
import { fence } from "./fence.js";
import { group } from "./group.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Makes an exclusive hold one of a reader, for as long as it had left, and lets the readers in who are first in line.
 *
 * KEYS  lock, queue, fence, holders, fences
 * ARGV  1 owner
 * Reply 1: shared · 0: gone
 */
export const downgradeScript: Script = new Script(`${value}${fence}${group(4, 5)}${handOver}
local owner = ARGV[1]
local now = serverMicros()
local value, other = lockString()
if other then return other end
value = purge(value, now)
local fence = fenceOf(value, owner)
if not fence then return groupOf(value) == 's' and redis.call('HEXISTS', fences, owner) or 0 end
local left = redis.call('PTTL', KEYS[1])
redis.call('SET', KEYS[1], '${mark}|s', 'PX', left)
redis.call('DEL', holders, fences)
redis.call('HSET', fences, owner, fence)
hold(owner, now + left * 1000, now)
letInMore(now)
watch(claimWindow)
return 1
`);
