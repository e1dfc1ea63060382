import { execFile } from "node:child_process";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { createLocks, LockConfigError, type LockProvider, type Locks, requireModes } from "@dlock/core";
import { memoryProvider } from "@dlock/core/memory";
import { beforeAll, describe, expect, test } from "vitest";

const inner = memoryProvider();
const exclusiveOnly: LockProvider = {
  claim: (request) => inner.claim(request),
  guarantees: { ...inner.guarantees, modes: ["exclusive"] },
};

let locks: Locks;
beforeAll(async () => {
  locks = await createLocks("memory:");
});

async function refusal(call: () => unknown): Promise<LockConfigError> {
  const error = await (async () => call())().catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(LockConfigError);
  return error as LockConfigError;
}

describe("a bad key", () => {
  test.each([
    ["empty", ""],
    ["no string", 42],
    ["missing", undefined],
    ["holding NUL", "a\0b"],
    ["ill-formed", "a\ud800b"],
    ["over-long", "x".repeat(1_025)],
    ["over-long in UTF-8", "é".repeat(600)],
  ])("%s is refused by name", async (_, key) => {
    for (const call of [
      () => locks.acquire(key as string),
      () => locks.tryAcquire(key as string),
      () => locks.withLock(key as string, () => {}),
      () => locks.inspect(key as string),
    ]) {
      expect(await refusal(call)).toMatchObject({ code: "LOCK_CONFIG", field: "key", value: key });
    }
  });

  test("is one that a prefix makes too long, or would hide", async () => {
    expect(await refusal(() => locks.prefixed("x".repeat(1_000)).acquire("y".repeat(30)))).toMatchObject({
      field: "key",
    });
    expect(await refusal(() => locks.prefixed("p:").acquire(""))).toMatchObject({ field: "key", value: "" });
  });

  test("is not one of any script, with quotes, braces, slashes and spaces", async () => {
    for (const key of ["x".repeat(1_024), "{a}}{", "a/b/../c", "'\"`;--", "ключ 鍵 🔑", " "]) {
      expect(await (await locks.acquire(key)).release()).toBe(true);
    }
  });
});

test.each([
  ["ttl", 0],
  ["ttl", -1],
  ["ttl", Number.NaN],
  ["ttl", 1.5],
  ["ttl", 2 ** 31],
  ["ttl", Number.POSITIVE_INFINITY],
  ["ttl", "30s"],
  ["ttl", null],
  ["waitTimeout", -1],
  ["waitTimeout", Number.NaN],
  ["waitTimeout", 2 ** 31],
  ["backendTimeout", 0],
  ["maxHold", 0],
  ["limit", 0],
  ["limit", 1.5],
  ["mode", "write"],
  ["reentrant", "yes"],
  ["autoRenew", "no"],
  ["owner", ""],
  ["signal", {}],
])("option %s: %s is refused with what is accepted", async (field, value) => {
  const error = await refusal(() => locks.acquire("k", { [field]: value }));
  expect(error).toMatchObject({ field, value, key: "k" });
  expect(error.message).toMatch(new RegExp(`^${field}: .* is not accepted; expected .+`));
  expect((await locks.inspect("k")).holders).toEqual([]);
});

test("waitTimeout is accepted up to for ever, whole or not", async () => {
  for (const waitTimeout of [0, 1_000.25, 2 ** 31 - 1, Number.POSITIVE_INFINITY, undefined]) {
    expect(await (await locks.acquire("k", { waitTimeout })).release()).toBe(true);
  }
});

test("a misspelt option is refused, not ignored", async () => {
  expect(await refusal(() => locks.acquire("k", { waitTimout: 5 } as object))).toMatchObject({
    field: "options",
    value: "waitTimout",
  });
  expect(await refusal(() => locks.tryAcquire("k", { waitTimeout: 5 } as object))).toMatchObject({
    value: "waitTimeout",
  });
  expect(await refusal(() => createLocks("memory:", { tll: 5 } as object))).toMatchObject({ value: "tll" });
  expect(await refusal(() => locks.close({ graze: 5 } as object))).toMatchObject({ value: "graze" });
});

test("a section without a task, an empty prefix and a negative margin are refused", async () => {
  expect(await refusal(() => locks.withLock("k", undefined as never))).toMatchObject({ field: "task" });
  expect(await refusal(() => locks.withLock("k", {}, "task" as never))).toMatchObject({ field: "task", value: "task" });
  expect(await refusal(() => locks.prefixed(""))).toMatchObject({ field: "prefix" });
  const lock = await locks.acquire("k");
  expect(await refusal(() => lock.throwIfLost(-1))).toMatchObject({ field: "marginMs" });
  expect(await refusal(() => lock.extend(0))).toMatchObject({ field: "ttl" });
  await lock.release();
});

test("readers have no limit", async () => {
  const error = await refusal(() => locks.acquire("k", { mode: "shared", limit: 2 }));
  expect(error).toMatchObject({ field: "limit", value: 2, key: "k" });
});

test("an error of another copy of the package is one of dlock all the same", async () => {
  class Foreign extends Error {
    readonly code = "LOCK_CONFIG";
  }
  const refusal = new Foreign("from an adapter with a core of its own");
  const inner = memoryProvider();
  const refuse = () => {
    throw refusal;
  };
  const other = await createLocks({ guarantees: inner.guarantees, claim: refuse });
  await expect(other.acquire("k")).rejects.toBe(refusal);
  await expect(other.tryAcquire("k")).rejects.toBe(refusal);
});

describe("a bad backend", () => {
  test.each([
    ["an unknown scheme", "mongodb://db", "url", /memory:, redis:/],
    ["a path", "./locks", "where", /a URL such as/],
    ["nothing", undefined, "where", /DLOCK_URL/],
    ["an empty string", "", "where", /DLOCK_URL/],
    ["a number", 5, "where", /a LockProvider/],
    ["an unknown option of memory:", { url: "memory:", size: 5 }, "memory:", /only url/],
  ])("%s is refused", async (_, where, field, accepted) => {
    const error = await refusal(() => createLocks(where as string));
    expect(error.field).toBe(field);
    expect(error.message).toMatch(accepted);
  });

  test("whose adapter is missing is refused with what to install", async () => {
    // As in a project that has installed core alone.
    const folder = await mkdtemp(join(tmpdir(), "dlock-alone-"));
    const core = join(folder, "node_modules", "@dlock", "core");
    await cp(new URL("../dist", import.meta.url), join(core, "dist"), { recursive: true });
    await cp(new URL("../package.json", import.meta.url), join(core, "package.json"));
    const program = join(folder, "program.mjs");
    await writeFile(
      program,
      `import { createLocks } from "@dlock/core";
       for (const url of ["zookeeper://zk1,zk2", "redis://db"]) await createLocks(url).catch(({ message }) => console.log(message));`,
    );
    const { stdout } = await promisify(execFile)(process.execPath, [program], { cwd: folder });
    await rm(folder, { recursive: true });
    expect(stdout).toMatch(/^url: "zookeeper:" .*npm install @dlock\/zookeeper$/m);
    expect(stdout).toMatch(/^url: "redis:" .*npm install @dlock\/redis ioredis$/m);
  });

  test("never shows the credentials of its URL", async () => {
    for (const url of ["mongodb://me:secret@db", "MONGODB://me:s@cret@db", "redis//me:secret@db", "me:secret@db"]) {
      const error = await refusal(() => createLocks(url));
      expect(`${error.message} ${String(error.value)}`).not.toMatch(/secret|cret@/);
    }
  });

  test("is one that does not give what is required: both sides are named", async () => {
    const error = await refusal(() => createLocks("memory:", { require: { exclusion: ["quorum", "consensus"] } }));
    expect(error.message).toBe(
      'require.exclusion: "quorum or consensus" is not accepted; expected process, which is what this backend gives',
    );
    await refusal(() => createLocks(exclusiveOnly, { require: { modes: ["exclusive", "shared"] } }));
    await refusal(() => createLocks("memory:", { require: { durability: "disk" } as object }));
    const given = await createLocks("memory:", { require: { order: "fifo", modes: "exclusive", fencing: undefined } });
    expect(given.guarantees.order).toBe("fifo");
  });
});

test("a scheme is one in any case, and a refused backend that we opened is closed", async () => {
  const locks = await createLocks("MEMORY:");
  expect(await (await locks.acquire("k")).release()).toBe(true);
});

test("inspect asks a backend that may be silent or fail, with errors of dlock", async () => {
  const inner = memoryProvider();
  const make = (inspect: (() => Promise<never>) | undefined) =>
    createLocks(
      { guarantees: inner.guarantees, claim: (request) => inner.claim(request), inspect },
      { backendTimeout: 50 },
    );
  await expect((await make(() => new Promise(() => {}))).inspect("k")).rejects.toMatchObject({
    code: "LOCK_BACKEND",
    key: "k",
  });
  const refused = (await make(() => Promise.reject(new Error("refused")))).inspect("k");
  await expect(refused).rejects.toMatchObject({ code: "LOCK_BACKEND", cause: { message: "refused" } });
  await expect((await make(undefined)).inspect("k")).rejects.toMatchObject({ code: "LOCK_CONFIG" });
});

test("connect reaches the backend before createLocks returns", async () => {
  const inner = memoryProvider();
  const down = {
    ...inner,
    guarantees: inner.guarantees,
    claim: inner.claim.bind(inner),
    connect: () => Promise.reject(new Error("down")),
  };
  await createLocks(down);
  await expect(createLocks(down, { connect: true })).rejects.toMatchObject({
    code: "LOCK_BACKEND",
    cause: { message: "down" },
  });
});

test("DLOCK_URL is the backend where none is named, and memory:name is shared in the process", async () => {
  process.env["DLOCK_URL"] = "memory:shared-by-name";
  try {
    const [one, other] = await Promise.all([createLocks(), createLocks(new URL("memory:shared-by-name"))]);
    const lock = await one.acquire("k");
    expect(await other.tryAcquire("k")).toBeUndefined();
    expect(await (await createLocks("memory:")).tryAcquire("k")).toBeDefined();
    await lock.release();
  } finally {
    delete process.env["DLOCK_URL"];
  }
});

test("a provider refuses a mode or a limit that its guarantees do not list", () => {
  const request = { key: "k", id: "1", owner: "o", ttl: 1_000, mode: "exclusive", limit: 1, join: false } as const;
  const { guarantees } = exclusiveOnly;
  expect(() => requireModes(guarantees, { ...request, mode: "shared" })).toThrow(LockConfigError);
  expect(() => requireModes(guarantees, { ...request, limit: 2 })).toThrow(/^limit: 2 is not accepted/);
});
