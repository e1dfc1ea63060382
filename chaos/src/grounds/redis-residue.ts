interface Side {
  keys(pattern: string): Promise<string[]>;
  client(subcommand: "LIST"): Promise<unknown>;
}

/** All keys, without the fence counters (at most one per slot, and they stay), and connections of clients but ourselves, replicas and sentinels. */
export async function redisResidue(servers: readonly Side[]): Promise<readonly string[]> {
  const looks = servers.map(async (server) => {
    const keys = (await server.keys("*")).filter((key) => !isFence(key));
    const clients = String(await server.client("LIST")).split("\n");
    return [
      ...keys,
      ...clients.filter((line) => /\bcmd=(?!client)/.test(line) && !/ name=sentinel-| flags=[MS]/.test(line)),
    ];
  });
  return (await Promise.all(looks)).flat();
}

/** They stay. */
export function isFence(key: string): boolean {
  return key.endsWith("}\0dlock:fence");
}
