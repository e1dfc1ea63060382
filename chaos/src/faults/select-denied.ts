import type { Fault, Scene } from "../fault.js";

/** A connection of somebody who may do everything. */
interface Administrator {
  call(command: string, ...args: readonly (string | number)[]): Promise<unknown>;
}

/** A user loses the right to select a database, and half of its connections: they come back, but not into theirs. */
export function selectDenied(servers: readonly Administrator[], user: string): Fault {
  const everywhere = <Value>(work: (server: Administrator) => Promise<Value>): Promise<readonly Value[]> =>
    Promise.all(servers.map(work));
  return {
    name: "select-denied",
    async strike({ random }) {
      const before = sum(await everywhere(refusals));
      await everywhere((server) => server.call("ACL", "SETUSER", user, "-select"));
      await everywhere((server) => cutHalf(server, user, random));
      return async () => {
        const refused = sum(await everywhere(refusals));
        await everywhere((server) => server.call("ACL", "SETUSER", user, "+select"));
        // Whoever was led astray would stay there, and the next time all would meet in the wrong place.
        await everywhere((server) => server.call("CLIENT", "KILL", "USER", user));
        return refused > before;
      };
    },
  };
}

/** How often somebody was told that he may not. */
async function refusals(server: Administrator): Promise<number> {
  const stats = String(await server.call("INFO", "commandstats"));
  return Number(/^cmdstat_select:.*rejected_calls=(\d+)/m.exec(stats)?.[1] ?? 0);
}

async function cutHalf(server: Administrator, user: string, random: Scene["random"]): Promise<void> {
  const clients = String(await server.call("CLIENT", "LIST")).split("\n");
  const theirs = clients.filter((line) => line.includes(` user=${user} `));
  const order = new Map(theirs.map((line) => [line, random.next()]));
  theirs.sort((one, other) => (order.get(one) ?? 0) - (order.get(other) ?? 0));
  for (const line of theirs.slice(0, Math.ceil(theirs.length / 2)))
    await server.call("CLIENT", "KILL", "ID", Number(/\bid=(\d+)/.exec(line)?.[1]));
}

function sum(counts: readonly number[]): number {
  return counts.reduce((total, count) => total + count, 0);
}
