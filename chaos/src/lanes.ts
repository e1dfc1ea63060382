import { fork } from "node:child_process";
import { once } from "node:events";

/**
 * Runs this program once for each backend, so many at a time, each in a process of its own: none of them is late because another one
 * counts. Resolves with those that came to no result.
 */
export async function inLanes(
  names: readonly string[],
  lanes: number,
  args: readonly string[],
): Promise<readonly string[]> {
  const waiting = [...names];
  const failed: string[] = [];
  const lane = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      const child = fork(process.argv[1] ?? "", [...args, "--backend", name]);
      const [code] = await once(child, "exit");
      if (code !== 0) failed.push(name);
    }
  };
  await Promise.all(Array.from({ length: Math.min(lanes, names.length) }, lane));
  return failed;
}
