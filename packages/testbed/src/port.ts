import { createServer } from "node:net";

export const loopback = "127.0.0.1";

/**
 * A free port between 10000 and 19999, with the one 10000 above it (a cluster's bus) free too. Below the system's range for outgoing
 * connections: a client that retries a closed port inside that range can end up connected to itself.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = 10_000 + Math.floor(Math.random() * 10_000);
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port;
  }
  throw new Error("no free port between 10000 and 19999");
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, loopback, () => server.close(() => resolve(true)));
  });
}
