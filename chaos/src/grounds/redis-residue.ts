interface Side {
  eval(script: string, keys: number, ...args: readonly number[]): Promise<unknown>;
  client(subcommand: "LIST"): Promise<unknown>;
}

/** All keys, without the fence counters (at most one per slot, and they stay), and connections of clients but ourselves, replicas and sentinels. */
export async function redisResidue(
  servers: readonly Side[],
  databases: readonly number[] = [0],
): Promise<readonly string[]> {
  const looks = servers.map(async (server) => {
    const keys = await locksIn(server, databases);
    const clients = String(await server.client("LIST")).split("\n");
    return [
      ...keys,
      ...clients.filter((line) => /\bcmd=(?!client)/.test(line) && !/ name=sentinel-| flags=[MS]/.test(line)),
    ];
  });
  return (await Promise.all(looks)).flat();
}

// What a script selects is selected for itself alone.
const allKeys = `
local keys = {}
for _, database in ipairs(ARGV) do
  redis.call("SELECT", database)
  for _, key in ipairs(redis.call("KEYS", "*")) do keys[#keys + 1] = key end
end
return keys`;

/** All keys of these databases, but for the fence counters. */
export async function locksIn(server: Pick<Side, "eval">, databases: readonly number[]): Promise<readonly string[]> {
  const keys = (await server.eval(allKeys, 0, ...databases)) as readonly string[];
  return keys.filter((key) => !isFence(key));
}

/** They stay. */
function isFence(key: string): boolean {
  return key.endsWith("}\0dlock:fence");
}
