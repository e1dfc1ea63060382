// What a holder process opens: the client half of socket-server.ts. JavaScript, because Node 20 runs nothing else.
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { LockBackendError } from "@dlock/core";

export async function open(path, manner = "closes") {
  const socket = connect(path);
  await once(socket, "connect");
  const waiting = new Map();
  let calls = 0;
  const lines = createInterface(socket);
  lines.on("error", () => {});
  lines.on("line", (line) => {
    const { call, value, error } = JSON.parse(line);
    if (error === undefined) waiting.get(call)?.resolve(value);
    else waiting.get(call)?.reject(new LockBackendError(error, { retryable: true }));
    waiting.delete(call);
  });
  socket.on("error", () => {});
  const send = (request, method, arg, call = ++calls) =>
    new Promise((resolve, reject) => {
      waiting.set(call, { resolve, reject });
      socket.write(`${JSON.stringify({ call, method, request, arg })}\n`);
    });
  const claim = (request) => ({
    async tryAcquire(deadline) {
      const token = await send(request, "tryAcquire", deadline - performance.now());
      return token === undefined ? undefined : BigInt(token);
    },
    async waitTurn(signal) {
      const call = ++calls;
      const abort = () => void send(request, "abort", call);
      signal.addEventListener("abort", abort);
      try {
        const turn = send(request, "waitTurn", undefined, call);
        if (signal.aborted) abort();
        await turn;
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
    renew: (ttl) => send(request, "renew", ttl),
    release: () => send(request, "release"),
  });
  const guarantees = {
    exclusion: "host",
    failover: "none",
    fencing: "unless-data-and-clock-lost",
    alive: "lease",
    order: "fifo",
    waiting: "push",
    modes: ["exclusive"],
  };
  return { provider: { guarantees, claim }, close: async () => void (manner === "closes" && socket.destroy()) };
}
