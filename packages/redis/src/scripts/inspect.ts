import { Script } from "./script.js";

/**
 * Shows the lock and its line, and changes nothing.
 *
 * KEYS  lock, queue, fence
 * Reply {the lock string or "", its pttl, the members of the queue in their order}
 */
export const inspectScript: Script = new Script(`
return {redis.call('GET', KEYS[1]) or '', redis.call('PTTL', KEYS[1]), redis.call('ZRANGE', KEYS[2], 0, -1)}
`);
