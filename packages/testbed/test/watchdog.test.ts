import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isSelected } from "@dlock/testbed";

// Two servers, one of them stopped, a sentinel with two more, and a link; then the end that the test is about.
const program = `
  import { startRedis, startRedisSentinel } from "@dlock/testbed";
  const [one, stopped, watched] = [await startRedis(), await startRedis(), await startRedisSentinel()];
  await stopped.server.pause();
  const { port } = await one.link();
  const ports = [one, stopped, watched.primary, watched.replica, watched.sentinel].map((server) => server.port);
  console.log(JSON.stringify([...ports, port]));
  process.stdin.once("data", (text) => (0, eval)(String(text)));
`;

describe.runIf(isSelected("redis"))("what was started", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "dlock-watchdog-test-"));
    // Servers that run as another user have to get in.
    chmodSync(folder, 0o755);
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it.each([
    ["is killed with SIGKILL", "process.kill(process.pid, 'SIGKILL')"],
    ["is interrupted", "process.kill(process.pid, 'SIGINT')"],
    ["is terminated", "process.kill(process.pid, 'SIGTERM')"],
    ["and its whole process group are killed", "process.kill(-process.pid, 'SIGKILL')"],
    ["crashes", "Promise.reject(new Error('crash'))"],
    ["ends without stopping it", "process.exit()"],
  ])("is gone when the process that started it %s", async (_, end) => {
    const child = spawn(process.execPath, ["--input-type=module", "-e", program], {
      cwd: import.meta.dirname,
      env: { ...process.env, TMPDIR: folder },
      detached: true,
      stdio: ["pipe", "pipe", "ignore"],
    });
    const [line] = await Promise.race([
      new Promise<[string]>((resolve) =>
        createInterface({ input: child.stdout }).once("line", (text) => resolve([text])),
      ),
      new Promise<[undefined]>((resolve) => child.once("exit", () => resolve([undefined]))),
    ]);
    const ports = JSON.parse(line ?? "[]") as number[];
    expect(ports).toHaveLength(6);
    expect(await Promise.all(ports.map(listens))).toEqual(ports.map(() => true));
    child.stdin.write(end);
    await new Promise((resolve) => child.once("exit", resolve));
    await expect.poll(() => Promise.all(ports.map(listens)), { timeout: 15_000 }).toEqual(ports.map(() => false));
    await expect
      .poll(() => readdirSync(folder).filter((name) => name.startsWith("dlock-")), { timeout: 5_000 })
      .toEqual([]);
  });
});

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
  });
}
