import { createServer, connect, type Socket } from "node:net";
import type { Database } from "@dlock/testbed";
import { onTestFinished } from "vitest";

const greetingHeader = 5;

/**
 * Stands between MySQL or MariaDB and its clients and numbers their sessions itself, as ProxySQL and MaxScale do: hence nothing is
 * set in sessions. Returns its URL.
 */
export async function startPooler({ url, host, port }: Database): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const behind = connect(port, host);
    behind.once("data", (greeting: Buffer) => {
      // After the protocol, one byte, and the version, which ends with a zero.
      greeting.writeUInt32LE(4_000_000_000, greeting.indexOf(0, greetingHeader) + 1);
      client.write(greeting);
      behind.pipe(client);
    });
    client.pipe(behind);
    for (const [socket, other] of [
      [client, behind],
      [behind, client],
    ] as const) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const through = new URL(url);
  through.host = `127.0.0.1:${(server.address() as { readonly port: number }).port}`;
  return through.href;
}
