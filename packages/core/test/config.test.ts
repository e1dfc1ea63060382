import { execFile } from "node:child_process";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { inspect, promisify } from "node:util";
import { createLocks, LockConfigError, recommend } from "@dlock/core";
import { Ajv } from "ajv";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dlock-config-"));
  vi.stubEnv("DLOCK_URL", "");
  vi.stubEnv("DLOCK_CONFIG", "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

/** Writes a file below the test's folder, in which the test then runs. */
async function write(name: string, content: unknown): Promise<string> {
  vi.spyOn(process, "cwd").mockReturnValue(folder);
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof content === "string" ? content : JSON.stringify(content));
  return file;
}

async function refusal(work: Promise<unknown>): Promise<LockConfigError> {
  const error: unknown = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(LockConfigError);
  return error as LockConfigError;
}

const two = { backends: { a: "memory:", b: "memory:" }, default: "a" };

describe("a configuration is found", () => {
  test.each([
    ["dlock.config.json", JSON.stringify(two)],
    ["dlock.config.js", `module.exports = ${JSON.stringify(two)}`],
    ["dlock.config.mjs", `export default ${JSON.stringify(two)}`],
  ])("as %s, from the working directory up to the nearest package.json", async (name, content) => {
    await write("package.json", {});
    await write(name, content);
    vi.spyOn(process, "cwd").mockReturnValue(join(folder, "deep", "er"));
    await using locks = await createLocks();
    expect(locks.guarantees.exclusion).toBe("process");
  });

  test("by DLOCK_CONFIG, or by its path in place of a URL", async () => {
    const file = await write("locks.json", two);
    await (await createLocks(file)).close();
    await (await createLocks("locks.json")).close();
    vi.stubEnv("DLOCK_CONFIG", file);
    await (await createLocks()).close();
  });

  test("after DLOCK_URL, and not at all when the program says what it wants", async () => {
    await write("dlock.config.json", "not even JSON");
    vi.stubEnv("DLOCK_URL", "memory:");
    await (await createLocks()).close();
    vi.stubEnv("DLOCK_URL", "");
    await (await createLocks(two)).close();
    expect(await refusal(createLocks())).toMatchObject({ value: "dlock.config.json" });
  });

  test("of which one backend may be all", async () => {
    await write("dlock.config.json", { url: "memory:" });
    await (await createLocks()).close();
    await write("dlock.config.json", { $schema: "./config.schema.json", url: "memory:" });
    await (await createLocks()).close();
    await write("dlock.config.json", { backends: { only: "memory:" } });
    await (await createLocks()).close();
  });

  test("as TypeScript where the runtime imports it, and else there is a sentence about that", async () => {
    const file = await write(
      "dlock.config.ts",
      `const backends: object = { a: "memory:" };\nexport default { backends };`,
    );
    const program = `import { createLocks } from "@dlock/core"; await (await createLocks(process.argv[1])).close();`;
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program, file], {
      cwd: fileURLToPath(new URL(".", import.meta.url)),
    });
    const imports = Boolean((process.features as { typescript?: unknown }).typescript);
    if (imports) await run;
    else await expect(run).rejects.toThrow(/LockConfigError.*does not import TypeScript/);
  });
});

describe("variables of the environment", () => {
  test("stand in strings, with defaults, and $${ is a plain ${", async () => {
    vi.stubEnv("LOCKS", "memory");
    vi.stubEnv("UNSET", undefined);
    const config = { backends: { a: "${LOCKS}:", b: "${UNSET:-memory:}", c: "memory:$${x}" }, default: "a" };
    await (await createLocks(config)).close();
    await (await createLocks({ ...config, default: "b" })).close();
    await (await createLocks({ ...config, default: "c" })).close();
  });
});

/** `passes`: an editor that knows the schema cannot see what is wrong. */
const wrong: readonly [what: string, config: unknown, message: RegExp, schema?: "passes"][] = [
  ["no object", [], /configuration: an array is not accepted; expected an object with backends/],
  ["empty", {}, /backends: undefined is not accepted; expected backends by name/],
  ["without a backend", { backends: {} }, /backends: an object is not accepted; expected backends by name/],
  ["with a misspelt field", { ...two, route: {} }, /configuration: "route" is not accepted; expected only .*routes/],
  [
    "with an odd name",
    { backends: { "a b": "memory:" } },
    /backends: "a b" is not accepted; expected names of letters/,
  ],
  [
    "with a URL that has no scheme",
    { backends: { a: "localhost" } },
    /backends\.a: "localhost" .* a URL with a scheme/,
  ],
  ["with an unknown scheme", { backends: { a: "redsi://x" } }, /backends\.a\.url: "redsi:" .* redis:, /, "passes"],
  ["with a number for a URL", { backends: { a: { url: 6379 } } }, /backends\.a\.url: 6379 .* a URL with a scheme/],
  ["with an entry of nothing", { backends: { a: {} } }, /backends\.a: an object .* one of url, quorum and migrate/],
  [
    "with an entry of two kinds",
    { backends: { a: { url: "memory:", quorum: [] } } },
    /backends\.a: .* one of url, quorum/,
  ],
  [
    "with a prefix in an entry",
    { backends: { a: { url: "memory:", prefix: "app:" } } },
    /backends\.a\.prefix: "prefix" .* createLocks\(…, \{ prefix \}\)/,
  ],
  [
    "with a prefix in a quorum",
    { backends: { a: { quorum: ["memory:", "memory:", "memory:"], prefix: "app:" } } },
    /backends\.a\.prefix: "prefix" .* createLocks\(…, \{ prefix \}\)/,
  ],
  [
    "with a ttl in an entry",
    { backends: { a: { url: "memory:", ttl: 5_000 } } },
    /backends\.a\.ttl: "ttl" .* createLocks\(…, \{ ttl \}\)/,
  ],
  [
    "with a prefix in a URL",
    { backends: { a: "redis://h?prefix=app:" } },
    /backends\.a: "prefix" .* createLocks\(…, \{ prefix \}\)/,
    "passes",
  ],
  [
    "with an unknown option",
    { backends: { a: { url: "memory:", speed: 9 } } },
    /backends\.a\.memory:: "speed"/,
    "passes",
  ],
  [
    "with an adapter that is not there",
    { backends: { a: { url: "xx:", adapter: "dlock-x" } } },
    /npm install dlock-x/,
    "passes",
  ],
  [
    "with an adapter file that is not there",
    { backends: { a: { url: "xx:", adapter: "./x.js" } } },
    /a file that exists/,
    "passes",
  ],
  ["without a default among several", { backends: two.backends }, /default: undefined .* a backend: a, b/, "passes"],
  ["with a default that is not there", { ...two, default: "c" }, /default: "c" is not accepted; .*: a, b/, "passes"],
  ["with a route to nowhere", { ...two, routes: { "x:*": "c" } }, /routes\["x:\*"\]: "c" .*: a, b/, "passes"],
  ["with routes that are a list", { ...two, routes: ["a"] }, /routes: an array .* by key pattern/],
  ["with a quorum of two", { backends: { a: { quorum: ["memory:", "memory:"] } } }, /backends\.a\.quorum: .* three/],
  [
    "with a quorum of strangers",
    { backends: { a: { quorum: ["x", "y", "z"] } } },
    /backends\.a\.quorum\[0\]: "x"/,
    "passes",
  ],
  [
    "with half a migration",
    { backends: { a: { migrate: { from: "memory:" } } } },
    /backends\.a\.migrate\.to: undefined/,
  ],
  [
    "with a migration that has options",
    { backends: { a: { migrate: { from: "memory:a", to: "memory:b" }, requires: {} } } },
    /backends\.a\.migrate: "requires" .* only require/,
  ],
  [
    "with a circle",
    { backends: { a: { quorum: ["a", "memory:", "memory:"] } } },
    /backends\.a: "a → a" .* no circle/,
    "passes",
  ],
  [
    "with an unset variable",
    { backends: { a: "${NOT_SET}" } },
    /backends\.a: "\$\{NOT_SET\}" .* variable NOT_SET to be set/,
    "passes",
  ],
  [
    "with a variable that only JavaScript has",
    { backends: { a: "memory:${constructor}" } },
    /variable constructor to be set/,
    "passes",
  ],
  ["with an open variable", { backends: { a: "memory:${HOME" } }, /backends\.a: "\$\{HOME" .* \$\{NAME\}/, "passes"],
  [
    "that requires too much",
    { backends: { a: { url: "memory:", require: { exclusion: ["quorum", "consensus"] } } } },
    /backends\.a\.require\.exclusion: "quorum or consensus" .* process, which is what/,
    "passes",
  ],
  [
    "that requires what is not",
    { backends: { a: { url: "memory:", require: { exclusion: "strong" } } } },
    /require\.exclusion: "strong" .* "consensus" or /,
  ],
  [
    "that requires an unknown entry",
    { backends: { a: { url: "memory:", require: { speed: 1 } } } },
    /backends\.a\.require: "speed"/,
  ],
];

describe("a configuration is refused", () => {
  test.each(wrong)("%s, with the file, the place and what to write", async (_, config, message) => {
    await write("dlock.config.json", config);
    vi.stubEnv("NOT_SET", undefined);
    const error = await refusal(createLocks());
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/^dlock\.config\.json: /);
    expect(error.message.length).toBeLessThan(400);
  });

  test.each([
    [
      "that is no JSON",
      "dlock.config.json",
      '{\n"backends": {"a": "redis://u:hunter2@h" },,}',
      /JSON without mistakes/,
    ],
    ["that exports nothing", "dlock.config.mjs", "export const config = {}", /default export/],
    ["that throws", "dlock.config.mjs", "throw new Error('no luck')", /can be read: no luck/],
  ])("%s", async (_, name, content, message) => {
    await write(name, content);
    const error = await refusal(createLocks());
    expect(error.message).toMatch(message);
    expect(error.message).not.toContain("hunter2");
  });

  test("that is missing, of another kind, or one of two", async () => {
    expect((await refusal(createLocks("locks.yaml"))).message).toMatch(
      /where: "locks\.yaml" .* a \.json, \.js, \.mjs or /,
    );
    expect((await refusal(createLocks("nowhere.json"))).message).toMatch(/nowhere\.json.*a file that can be read/);
    await write("dlock.config.json", two);
    await write("dlock.config.mjs", "export default {}");
    expect((await refusal(createLocks())).message).toMatch(/json and dlock\.config\.mjs.*expected one of them/);
  });

  test("without its credentials in the message", async () => {
    vi.stubEnv("PASSWORD", "hunter2/@x?y#z");
    for (const a of [
      "redsi://me:${PASSWORD}@host",
      { url: "memory:", password: "${PASSWORD}" },
      "redsi://h?password=${PASSWORD}",
    ]) {
      await write("dlock.config.json", { backends: { a } });
      const error = await refusal(createLocks());
      expect(JSON.stringify([error.message, error.value])).not.toContain("hunter2");
    }
    for (const where of [
      { url: "redsi://me:hunter2@host", quorum: [] },
      { quorum: ["redsi://me:hunter2@host"] },
      { host: "h", password: "hunter2" },
      { backends: { a: "the_app:hunter2@host" } },
      { backends: { a: { quorum: ["the_app:hunter2@host", "memory:", "memory:"] } } },
      "redsi:me:hunter2@host",
      "redsi:/me:hunter2@host",
    ]) {
      // As a console prints it, with all that hangs on it.
      expect(inspect(await refusal(createLocks(where as string)), { depth: 9 })).not.toContain("hunter2");
    }
    for (const url of ["redis:me:hunter2@host", "redis:/me:hunter2@host"]) {
      expect(new LockConfigError("url", url, "another").message).toContain("…@host");
    }
    expect(new LockConfigError("entry.password", "hunter2", "a string").message).not.toContain("hunter2");
  });
});

describe("the JSON schema", () => {
  test("accepts what is accepted, and refuses what can be told without opening it", async () => {
    const schema = JSON.parse(await readFile(new URL("../config.schema.json", import.meta.url), "utf8")) as object;
    const valid = new Ajv({ strict: true, strictRequired: false, allErrors: true }).compile(schema);
    for (const config of [
      two,
      { url: "memory:", extra: 1 },
      { ...two, routes: { "a:*": "b" } },
      { backends: { a: { migrate: { from: "memory:", to: "memory:" } } } },
    ]) {
      expect(valid(config), JSON.stringify(valid.errors)).toBe(true);
    }
    for (const [what, config, , passes] of wrong) expect(valid(config), what).toBe(passes === "passes");
  });
});

describe("a third party's adapter", () => {
  test.each([
    ["a package for import only", "dlock-x", { ".": { import: "./x.js" } }],
    ["a package for everybody", "dlock-x", "./x.js"],
    ["a file", "./node_modules/dlock-x/x.js", "./x.js"],
  ])("is %s, looked up from the folder of the file", async (_, adapter, exports) => {
    const provider = `export const createProvider = ({ url }) => ({ guarantees: { exclusion: url }, claim() {} });`;
    await write("node_modules/dlock-x/x.js", provider);
    await write("node_modules/dlock-x/package.json", { name: "dlock-x", type: "module", exports });
    const file = await write("locks.json", { backends: { a: { url: "xx:1", adapter } } });
    vi.spyOn(process, "cwd").mockReturnValue(tmpdir());
    await using locks = await createLocks(file);
    expect(locks.guarantees.exclusion).toBe("xx:1");
  });
});

describe("what configuration opens", () => {
  /** An adapter of a backend that is down, and which of its providers were closed. */
  async function adapter(): Promise<{ readonly file: string; readonly closed: readonly string[] }> {
    const file = await write(
      "down.mjs",
      `export const closed = [];
      const guarantees = { exclusion: "server", failover: "none", fencing: "best-effort", alive: "lease", order: "none", waiting: "poll", modes: ["exclusive"] };
      export const createProvider = ({ url }) => ({
        guarantees,
        claim() {},
        connect: async () => { throw new Error("it is down"); },
        close: async () => void closed.push(url),
      });`,
    );
    return { file, closed: ((await import(file)) as { closed: string[] }).closed };
  }

  test("is closed when something else cannot be opened", async () => {
    const { file, closed } = await adapter();
    const backends = { a: { url: "xx:1", adapter: file }, b: "redsi://x" };
    await refusal(createLocks({ backends, default: "a", routes: { "k:*": "b" } }));
    expect(closed).toEqual(["xx:1"]);
  });

  test("is named in errors without its credentials", async () => {
    const { file } = await adapter();
    const quorum = ["1", "2", "3"].map((host) => ({ url: `xx://me:hunter2@${host}/db?key=hunter2`, adapter: file }));
    const error: unknown = await createLocks({ quorum }, { connect: true }).catch((reason: unknown) => reason);
    expect(inspect(error, { depth: 9 })).toMatch(/xx:\/\/2\/db \(it is down\)/);
    expect(inspect(error, { depth: 9 })).not.toContain("hunter2");
  });
});

describe("routes", () => {
  test("may have any name that JSON can hold", async () => {
    const backends = `{ "a": "memory:", "__proto__": { "quorum": ["memory:", "memory:", "memory:"] } }`;
    await write(
      "dlock.config.json",
      `{ "backends": ${backends}, "default": "a", "routes": { "__proto__": "__proto__" } }`,
    );
    await using locks = await createLocks();
    expect(locks.guarantees.waiting).toBe("poll");
  });
});

describe("recommend", () => {
  test("splits all that is known, the fastest first, and says where the others fall short", async () => {
    const { fitting, others } = await recommend({ exclusion: ["server", "consensus"], order: "fifo" });
    expect(fitting[0]?.name).toBe("redis");
    expect(others.find(({ name }) => name === "memory")?.shortfalls).toEqual([
      { entry: "exclusion", required: "server or consensus", given: "process" },
    ]);
  });

  test("splits what is configured, and reaches nobody", async () => {
    const backends = { fast: "redis://nobody.invalid", file: "sqlite:./nowhere/locks.db", own: "memory:" };
    const { fitting, others } = await recommend({ alive: "lease", order: "fifo" }, { backends, default: "own" });
    expect(fitting.map(({ name }) => name)).toEqual(["own", "fast"]);
    expect(others.map(({ name }) => name)).toEqual(["file"]);
  });

  test("refuses requirements that do not exist", async () => {
    expect(await refusal(recommend({ exclusion: "total" as "quorum" }))).toMatchObject({ field: "require.exclusion" });
  });
});
