import { fence } from "./fence.js";
import { handOver } from "./hand-over.js";
import { Script } from "./script.js";
import { value } from "./value.js";

/**
 * Ends whatever hold there is, also one of another library.
 *
 * KEYS  lock, queue, fence
 * Reply 1: there was one · 0: there was none
 */
export const forceReleaseScript: Script = new Script(`${value}${fence}${handOver}
if not redis.call('GET', KEYS[1]) then return 0 end
handOver()
return 1
`);
