import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createLocks, LockConfigError, type LocksOptions, recommend } from "@dlock/core";
import { prefix } from "@dlock/core/combinators";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";

/** An adapter of somebody else, who takes whatever options there are. */
const adapterSource = `
import { memoryProvider } from "@dlock/core/memory";
export const createProvider = () => memoryProvider();
`;
let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(import.meta.dirname, "prefix-"));
  await writeFile(join(folder, "adapter.mjs"), adapterSource);
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => void vi.unstubAllEnvs());

type Where = Parameters<typeof createLocks>[0];
const member = "memory:";

/** Everywhere that an option of `createLocks` may be looked for in what names a backend. */
function places(field: string, value: unknown): Record<string, unknown> {
  const query = `memory:x?${field}=${String(value)}`;
  const entry = { url: "memory:", [field]: value };
  const theirs = { url: "mine://host", adapter: join(folder, "adapter.mjs") };
  return {
    "in an entry": entry,
    "in a URL": query,
    "in a URL object": new URL(query),
    "in a URL, percent-encoded": query.replace(field, `%${field.charCodeAt(0).toString(16)}${field.slice(1)}`),
    "in the URL of an entry": { url: query },
    "in the URL of a server": `redis://user:secret@localhost/1?order=fifo&${field}=${String(value)}`,
    "in a configured entry": { backends: { a: entry } },
    "in a configured URL": { backends: { a: query } },
    "in a backend that nothing leads to": { backends: { a: "memory:", b: query }, default: "a" },
    "in a quorum": { quorum: [member, member, member], [field]: value },
    "in a member of a quorum": { quorum: [member, member, entry] },
    "in the URL of a member": { quorum: [member, query, member] },
    "in a member of a member": { quorum: [member, member, { quorum: [member, entry, member] }] },
    "in a migration": { migrate: { from: member, to: member }, [field]: value },
    "in a side of a migration": { migrate: { from: entry, to: member } },
    "in the URL of a side": { migrate: { from: member, to: query } },
    "in an entry for an adapter of somebody else": { ...theirs, [field]: value },
    "in a URL for an adapter of somebody else": { ...theirs, url: `mine://host?${field}=${String(value)}` },
  };
}

async function refusal(work: Promise<unknown>): Promise<LockConfigError> {
  const error: unknown = await work.then(
    () => "not refused",
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LockConfigError);
  return error as LockConfigError;
}

describe("a prefix of keys", () => {
  test.each(Object.keys(places("prefix", "app:")))("%s is refused with what to write instead", async (place) => {
    const where = places("prefix", "app:")[place] as Where;
    for (const work of [() => createLocks(where), () => recommend({}, where)]) {
      const { message } = await refusal(work());
      expect(message).toMatch(
        /createLocks\(…, \{ prefix \}\).*"namespace" in Redis.*chroot.*"schema" and "table" in SQL/,
      );
      expect(message).not.toContain("secret");
    }
  });

  test("beside the backends, in the environment and in a file is refused too, with the place", async () => {
    expect((await refusal(createLocks({ backends: { a: member }, prefix: "app:" } as Where))).message).toContain(
      "createLocks(…, { prefix })",
    );
    vi.stubEnv("DLOCK_URL", "memory:x?prefix=app:");
    expect((await refusal(createLocks())).message).toContain("createLocks(…, { prefix })");
    vi.stubEnv("DLOCK_URL", "");
    const file = join(folder, "dlock.config.json");
    await writeFile(file, JSON.stringify({ backends: { a: { url: member, prefix: "app:" } } }));
    expect((await refusal(createLocks(file))).message).toMatch(/dlock\.config\.json: backends\.a\.prefix.*createLocks/);
  });

  test("goes in front of every key, however it is put together", async () => {
    const provider = memoryProvider({ store: memoryStore() });
    const ways = [
      (await createLocks(provider, { prefix: "a:b:" })).prefixed("c:"),
      (await createLocks(provider, { prefix: "a:" })).prefixed("b:").prefixed("c:"),
      (await createLocks(provider)).prefixed("a:b:c:"),
      await createLocks(prefix(provider, "a:b:c:")),
      await createLocks(prefix(prefix(provider, "a:"), "b:"), { prefix: "c:" }),
    ];
    const plain = await createLocks(provider);
    for (const holder of ways) {
      const lock = await holder.acquire("k");
      for (const other of ways) expect(await other.tryAcquire("k")).toBeUndefined();
      expect(await plain.tryAcquire("a:b:c:k")).toBeUndefined();
      await lock.release();
    }
  });

  test("that no key could have is refused where it is given", async () => {
    const locks = await createLocks("memory:");
    const provider = memoryProvider();
    for (const wrong of ["a\0", "\ud83d", "x".repeat(1_025), 1]) {
      await expect(createLocks("memory:", { prefix: wrong as string })).rejects.toMatchObject({ field: "prefix" });
      expect(() => locks.prefixed(wrong as string)).toThrow(/^prefix: /);
      expect(() => prefix(provider, wrong as string)).toThrow(/^prefix: /);
    }
  });
});

describe("another option of createLocks", () => {
  const others: LocksOptions = { ttl: 1_000, waitTimeout: 5, backendTimeout: 5, owner: "me", connect: true };

  test.each([...Object.entries(others), ["on", "x"]] as const)(
    "%s, given to a backend, is refused",
    async (field, value) => {
      for (const [place, where] of Object.entries(places(field, value))) {
        const { message } = await refusal(createLocks(where as Where));
        expect([place, message]).toEqual([place, expect.stringContaining(`createLocks(…, { ${field} })`)]);
      }
    },
  );

  test("require holds in both places, and is refused in a URL", async () => {
    const impossible = { exclusion: "consensus" } as const;
    const possible = { exclusion: "process" } as const;
    await (await createLocks({ url: member, require: possible }, { require: possible })).close();
    for (const [inEntry, inOptions] of [
      [impossible, possible],
      [possible, impossible],
      [impossible, undefined],
      [undefined, impossible],
    ]) {
      const error = await refusal(createLocks({ url: member, require: inEntry }, { require: inOptions }));
      expect(error.message).toContain("require.exclusion");
    }
    const quorum = {
      quorum: [{ url: member, require: possible }, member, member],
      require: { exclusion: "quorum" },
    } as const;
    await (await createLocks(quorum, { require: { order: "none" } })).close();
    await refusal(createLocks(quorum, { require: { order: "fifo" } }));
    await refusal(createLocks({ ...quorum, require: possible }));
    await refusal(createLocks("memory:x?require=exclusion"));
  });
});

test("namespace among the options of createLocks is refused with what to write instead", async () => {
  const error = await refusal(createLocks("memory:", { namespace: "app:" } as LocksOptions));
  expect(error.message).toMatch(/\{ url, namespace \}.*createLocks\(…, \{ prefix \}\)/);
});

test("names of members are not a quorum's to be given in an entry", async () => {
  await refusal(createLocks({ quorum: [member, member, member], names: ["a", "b", "c"] }));
});

describe("memory:name", () => {
  test("is one store, however its URL is written", async () => {
    const name = `é ${crypto.randomUUID()}`;
    const locks = await Promise.all(
      [
        `memory:${name}`,
        `MEMORY:${name}`,
        `memory:${encodeURIComponent(name)}`,
        `memory://${name}`,
        new URL(`memory:${name}`),
      ].map((where) => createLocks(where)),
    );
    for (const holder of locks) {
      const lock = await holder.acquire("k");
      for (const other of locks) expect(await other.tryAcquire("k")).toBeUndefined();
      await lock.release();
    }
    const apart = await createLocks(`memory:${name}.`);
    await using _lock = await locks[0]?.acquire("k");
    expect(await apart.tryAcquire("k")).toBeDefined();
  });

  test.each(["memory:a?b=c", "memory:a#b", "memory:%", "memory:?"])(
    "with more than a name is refused: %s",
    async (url) => {
      expect((await refusal(createLocks(url))).field).toBe("url");
    },
  );
});
