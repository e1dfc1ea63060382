import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isSelected } from "@dlock/testbed";
import { software } from "../src/backend.js";
import { findLocal } from "../src/local.js";

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

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "dlock-watchdog-test-"));
  // Servers that run as another user have to get in.
  chmodSync(folder, 0o755);
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

describe.runIf(isSelected("redis"))("what was started", () => {
  it.each([
    ["is killed with SIGKILL", "process.kill(process.pid, 'SIGKILL')"],
    ["is interrupted", "process.kill(process.pid, 'SIGINT')"],
    ["is terminated", "process.kill(process.pid, 'SIGTERM')"],
    ["and its whole process group are killed", "process.kill(-process.pid, 'SIGKILL')"],
    ["crashes", "Promise.reject(new Error('crash'))"],
    ["ends without stopping it", "process.exit()"],
  ])("is gone when the process that started it %s", async (_, end) => {
    const { child, said: ports } = await run(program);
    expect(ports).toHaveLength(6);
    expect(await Promise.all(ports.map(listens))).toEqual(ports.map(() => true));
    child.stdin.write(end);
    await new Promise((resolve) => child.once("exit", resolve));
    await expect.poll(() => Promise.all(ports.map(listens)), { timeout: 15_000 }).toEqual(ports.map(() => false));
    await expect.poll(folders, { timeout: 5_000 }).toEqual([]);
  });
});

// A process per connection, and memory that the system would keep.
const postgres = `
  import { startPostgres } from "@dlock/testbed";
  const one = await startPostgres();
  const rows = await one.query("select pid from pg_stat_activity");
  await one.server.pause();
  console.log(JSON.stringify(rows.map(({ pid }) => pid)));
`;

// In a container, both are the container's.
const onThisMachine =
  process.platform === "linux" &&
  process.env["DLOCK_TEST_ENGINE"] !== "docker" &&
  findLocal(software("postgres")) !== undefined;

describe.runIf(isSelected("postgres") && onThisMachine)("a Postgres that stands still", () => {
  it("is gone with all its processes and its shared memory when the process that started it is killed", async () => {
    const { child, said: pids } = await run(postgres);
    expect(pids.length).toBeGreaterThan(3);
    expect(pids.every(isAlive)).toBe(true);
    const [data = ""] = folders();
    const lines = readFileSync(join(folder, data, "data", "db", "postmaster.pid"), "utf8").split("\n");
    const segment = lines[6]?.trim().split(/\s+/)[1] ?? "";
    expect(segments()).toContain(segment);
    child.kill("SIGKILL");
    await expect.poll(folders, { timeout: 15_000 }).toEqual([]);
    await expect.poll(() => pids.some(isAlive), { timeout: 5_000 }).toBe(false);
    expect(segments()).not.toContain(segment);
  });
});

/** Runs a program until its first line, which is JSON. */
async function run(text: string) {
  const child = spawn(process.execPath, ["--input-type=module", "-e", text], {
    cwd: import.meta.dirname,
    env: { ...process.env, TMPDIR: folder },
    detached: true,
    stdio: ["pipe", "pipe", "ignore"],
  });
  const line = await Promise.race([
    new Promise<string>((resolve) => createInterface({ input: child.stdout }).once("line", resolve)),
    new Promise<undefined>((resolve) => child.once("exit", () => resolve(undefined))),
  ]);
  return { child, said: JSON.parse(line ?? "[]") as number[] };
}

const folders = () => readdirSync(folder).filter((name) => name.startsWith("dlock-"));

const segments = () =>
  readFileSync("/proc/sysvipc/shm", "utf8")
    .split("\n")
    .map((line) => line.trim().split(/\s+/)[1]);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1", () => resolve(true));
    socket.on("error", () => resolve(false)).on("connect", () => socket.destroy());
  });
}
