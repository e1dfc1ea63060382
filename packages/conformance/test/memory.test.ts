import { afterAll, beforeAll, test } from "vitest";
import { conformance, spawnHolder } from "@dlock/conformance";
import { memoryHarness } from "./memory-harness.js";
import { serve, type SocketServer } from "./socket-server.js";

// The memory provider knows one process only; served over a socket it shows that processes can be held to the laws.
const { provider, ...harness } = memoryHarness();
let server: SocketServer | undefined;

beforeAll(async () => {
  server = await serve(() => provider);
});
afterAll(() => server?.close());

conformance(test.concurrent, {
  ...harness,
  spawn: () => spawnHolder(new URL("./socket-peer.mjs", import.meta.url), server?.path ?? ""),
});
