import { fence } from "./fence.js";
import { group } from "./group.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Ends whatever hold there is, all of them where several hold, also one of another library.
 *
 * KEYS  lock, queue, fence, holders, fences
 * Reply 1: there was one · 0: there was none
 */
export const forceReleaseScript: Script = new Script(`${value}${fence}${group(4, 5)}${handOver}
local value, other = lockString()
if other then return other end
local now = serverMicros()
if not purge(value, now) then return 0 end
handOver(false, function() redis.call('DEL', KEYS[1], holders, fences) end, now)
return 1
`);
