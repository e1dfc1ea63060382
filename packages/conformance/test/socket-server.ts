import { rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Claim, ClaimRequest, LockProvider } from "@dlock/core";

interface Call {
  readonly call: number;
  readonly method: "tryAcquire" | "waitTurn" | "renew" | "release" | "abort";
  readonly request: ClaimRequest;
  readonly arg?: number | undefined;
}

export interface SocketServer {
  readonly path: string;
  readonly close: () => Promise<void>;
}

/** Serves a provider of this process to others, over a socket and in JSON; which one, is asked for each connection. */
export async function serve(provider: () => LockProvider): Promise<SocketServer> {
  const path = join(tmpdir(), `dlock-conformance-${crypto.randomUUID()}.sock`);
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    attend(socket, provider());
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await rm(path, { force: true });
    },
  };
}

function attend(socket: Socket, provider: LockProvider): void {
  const claims = new Map<string, Claim>();
  const waits = new Map<number, AbortController>();
  const perform = async (claim: Claim, { call, method, arg = 0 }: Call): Promise<unknown> => {
    switch (method) {
      case "tryAcquire":
        return (await claim.tryAcquire(performance.now() + arg))?.toString();
      case "waitTurn": {
        const aborter = new AbortController();
        waits.set(call, aborter);
        await claim.waitTurn?.(aborter.signal);
        return waits.delete(call);
      }
      case "renew":
        return claim.renew?.(arg);
      case "release":
        return claim.release();
      case "abort":
        return waits.get(arg)?.abort();
    }
  };
  const lines = createInterface(socket);
  lines.on("error", () => {});
  lines.on("line", (line) => {
    const message = JSON.parse(line) as Call;
    const { request } = message;
    const claim = claims.get(request.id) ?? provider.claim(request);
    claims.set(request.id, claim);
    const answer = (body: object): void => void socket.write(`${JSON.stringify({ call: message.call, ...body })}\n`);
    perform(claim, message).then(
      (value) => answer({ value }),
      (error: Error) => answer({ error: error.message }),
    );
  });
  socket.on("close", () => {
    for (const aborter of waits.values()) aborter.abort();
    void provider.close?.();
  });
}
