// Installs the packages from their tarballs with plain npm into empty projects, and uses them in each way they promise to work.
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root, run } from "./run.mjs";

const packages = ["core", "sql", "redis", "conformance"];
const optional = ["libsql", "better-sqlite3", "pg", "mysql2"];
const work = mkdtempSync(join(tmpdir(), "dlock-tarballs-"));

async function step(title, cwd, [program, ...args], env) {
  const { status, output } = await run(program, args, { show: false, timeout: 120_000, cwd, env });
  verify(title, status === 0, output);
}

function verify(title, holds, found) {
  console.log(`  ${holds ? "ok    " : "FAILED"} ${title}`);
  if (!holds) throw new Error(`${title}:\n${found}`);
}

/** An empty project with these packages; returns what npm installed for them. */
async function project(name, specs) {
  const folder = join(work, name);
  mkdirSync(folder);
  cpSync(join(root, "scripts", "consumer"), folder, { recursive: true });
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--loglevel=error"];
  await step(`npm install: ${name}`, folder, ["npm", "install", ...quiet, ...specs]);
  const lock = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8"));
  const paths = Object.keys(lock.packages).filter((path) => path !== "");
  return { folder, installed: paths.map((path) => path.split("node_modules/").pop()) };
}

async function pack() {
  for (const name of packages) {
    const command = ["pnpm", "pack", "--pack-destination", work];
    await step(`pnpm pack: ${name}`, join(root, "packages", name), command);
  }
  const files = readdirSync(work);
  const tarball = (name) =>
    join(
      work,
      files.find((file) => file.startsWith(`dlock-${name}-`)),
    );
  return Object.fromEntries(packages.map((name) => [name, tarball(name)]));
}

async function installsLittle({ core, sql }) {
  const alone = (await project("core", [core])).installed;
  verify("core installs one package, itself", alone.length === 1, alone);
  const { installed } = await project("sql", [core, sql]);
  const unwanted = installed.filter((name) => optional.includes(name) || name.startsWith("@types/"));
  verify(`core and sql install ${installed.length} packages, no driver among them`, unwanted.length === 0, unwanted);
}

async function runs({ core, sql, redis, conformance }) {
  const { folder } = await project("app", [core, sql, redis, conformance, "libsql@0.5", "ioredis@6"]);
  const registryNode = (major) => ["npx", "--yes", "--prefer-offline", `--package=node@${major}`, "--", "node"];
  const nodes = { [process.version]: ["node"], "Node 22": registryNode(22), "Node 24": registryNode(24) };
  for (const [version, node] of Object.entries(nodes)) {
    await step(`an ES module imports it (${version})`, folder, [...node, "use.mjs"]);
    await step(`a CommonJS module requires it (${version})`, folder, [...node, "use.cjs"]);
  }
  return folder;
}

async function compiles(app) {
  const versions = ["5.9.3", "6.0.3", "7.0.2"];
  const specs = versions.map((version) => `typescript-${version}@npm:typescript@${version}`);
  const { folder } = await project("compilers", specs);
  for (const version of versions) {
    const tsc = join(folder, "node_modules", `typescript-${version}`, "bin", "tsc");
    for (const config of ["tsconfig.json", "tsconfig.no-platform.json"]) {
      await step(`TypeScript ${version} compiles against it (${config})`, app, ["node", tsc, "-p", config]);
    }
  }
}

async function servesJest({ core, sql }) {
  const { folder } = await project("jest", [core, sql, "libsql@0.5", "jest@30", "@babel/preset-env@7"]);
  const jest = ["node", "node_modules/jest/bin/jest.js", "--ci", "--config"];
  const modules = { NODE_OPTIONS: "--experimental-vm-modules" };
  await step("Jest runs a test that imports it", folder, [...jest, "jest.import.config.cjs"], modules);
  await step("Jest runs a test that requires it", folder, [...jest, "jest.require.config.cjs"]);
}

try {
  const tarballs = await pack();
  await installsLittle(tarballs);
  await compiles(await runs(tarballs));
  await servesJest(tarballs);
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
