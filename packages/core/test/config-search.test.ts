import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";

let root: string;
beforeEach(async () => {
  root = await realpath(await mkdtemp(join(tmpdir(), "dlock-search-")));
});
afterEach(() => rm(root, { recursive: true }));

/** Files by their path below the root; what a configuration is worth shows in the exclusion it leads to. */
async function lay(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [path, content] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), content);
  }
}

const config = '{ "backends": { "a": "memory:" } }';
const modules = {
  json: config,
  js: `globalThis.ran = "js"; module.exports = ${config};`,
  mjs: `globalThis.ran = "mjs"; export default ${config};`,
};

interface Outcome {
  /** Codes and messages of the warnings, in their order. */
  readonly heard: readonly (readonly [code: string, message: string])[];
  readonly refused?: string | undefined;
  /** What the configuration ran as code. */
  readonly ran?: string | undefined;
}

/** `createLocks()` of a program that runs in a folder. */
async function runIn(folder: string, env: Readonly<Record<string, string>> = {}): Promise<Outcome> {
  const core = pathToFileURL(createRequire(import.meta.url).resolve("@dlock/core")).href;
  const program = `
    import { createLocks } from ${JSON.stringify(core)};
    const heard = [];
    const on = { warning: ({ code, message }) => heard.push([code, message]) };
    let refused;
    await createLocks(undefined, { on }).then((locks) => locks.close(), (error) => (refused = error.message));
    console.log(JSON.stringify({ heard, refused, ran: globalThis.ran }));`;
  const { DLOCK_URL: _, DLOCK_CONFIG: __, ...inherited } = process.env;
  const options = { cwd: join(root, folder), env: { ...inherited, ...env } };
  const { stdout } = await promisify(execFile)(process.execPath, ["--input-type=module", "-e", program], options);
  return JSON.parse(stdout) as Outcome;
}

test.each(Object.entries(modules))(
  "a .%s file beside the nearest package.json is taken, and named",
  async (kind, content) => {
    await lay({ "app/package.json": "{}", [`app/dlock.config.${kind}`]: content, "app/src/deep/x.js": "" });
    for (const folder of ["app", "app/src/deep"]) {
      const { heard, refused, ran } = await runIn(folder);
      expect(refused).toBeUndefined();
      expect(heard).toEqual([
        ["CONFIG_FOUND", expect.stringContaining(join(root, `app/dlock.config.${kind}`)) as string],
      ]);
      expect(ran).toBe(kind === "json" ? undefined : kind);
    }
  },
);

test("a file below the package.json, nearer to the program, comes first", async () => {
  await lay({ "app/package.json": "{}", "app/dlock.config.json": "no JSON", "app/job/dlock.config.json": config });
  expect(await runIn("app/job")).toMatchObject({ heard: [["CONFIG_FOUND", expect.stringContaining("app/job/")]] });
});

test.each(Object.entries(modules))(
  "a .%s file above the nearest package.json is not taken, but named with the remedy",
  async (kind, content) => {
    // A workspace: the package has a package.json of its own, the configuration lies in the root.
    const file = `dlock.config.${kind}`;
    await lay({ "package.json": "{}", [file]: content, "packages/x/package.json": "{}", "packages/x/src/x.js": "" });
    for (const folder of ["packages/x", "packages/x/src"]) {
      const { heard, refused, ran } = await runIn(folder);
      expect(ran).toBeUndefined();
      expect(heard).toHaveLength(1);
      for (const said of [heard[0]?.[1], refused]) {
        expect(said).toContain(`DLOCK_CONFIG=${join(root, file)}`);
        expect(said).toContain(`above ${join(root, "packages/x")}`);
      }
      expect(heard[0]?.[0]).toBe("CONFIG_BEYOND");
      expect(refused).toMatch(/^where: undefined is not accepted/);
      const remedied = await runIn(folder, { DLOCK_CONFIG: join(root, file) });
      expect(remedied).toMatchObject({ heard: [] });
      expect(remedied.refused).toBeUndefined();
    }
  },
);

test("without any package.json only the working directory is searched", async () => {
  await lay({ "dlock.config.json": config, "deep/x.js": "" });
  expect(await runIn("")).toMatchObject({ heard: [["CONFIG_FOUND", expect.any(String)]] });
  const { heard, refused } = await runIn("deep");
  expect(heard).toMatchObject([["CONFIG_BEYOND", expect.stringContaining(join(root, "dlock.config.json")) as string]]);
  expect(refused).toContain("DLOCK_CONFIG");
});

test("a JSON file beyond the border runs no adapter that it names", async () => {
  await lay({
    "dlock.config.json": '{ "url": "xx:", "adapter": "./x.mjs" }',
    "x.mjs": `globalThis.ran = "adapter"; export const createProvider = () => ({ guarantees: {}, claim() {} });`,
    "app/package.json": "{}",
  });
  expect((await runIn("app")).ran).toBeUndefined();
  expect((await runIn("")).ran).toBe("adapter");
});

test("two files beyond the border are nobody's mistake, within it they are one", async () => {
  await lay({ "dlock.config.json": config, "dlock.config.mjs": modules.mjs, "app/package.json": "{}" });
  expect((await runIn("app")).heard).toMatchObject([["CONFIG_BEYOND", expect.any(String)]]);
  expect((await runIn("")).refused).toMatch(/dlock\.config\.json and dlock\.config\.mjs.*expected one of them/);
});

test("nothing anywhere is said without a guess, and what the program names is not searched for", async () => {
  await lay({ "app/package.json": "{}" });
  const { heard, refused } = await runIn("app");
  expect(heard).toEqual([]);
  expect(refused).toMatch(/^where: undefined is not accepted/);
  expect(refused).not.toContain("DLOCK_CONFIG=");
  await lay({ "app/dlock.config.json": "no JSON" });
  expect(await runIn("app", { DLOCK_URL: "memory:" })).toEqual({ heard: [] });
});

test("a working directory that is a link is searched where it leads to", async () => {
  await lay({ "real/package.json": "{}", "real/dlock.config.json": config, "other/package.json": "{}" });
  await symlink(join(root, "real"), join(root, "other/link"));
  expect((await runIn("other/link")).heard).toMatchObject([
    ["CONFIG_FOUND", expect.stringContaining(join(root, "real")) as string],
  ]);
});
