import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { constants, Script } from "node:vm";
import { LockConfigError } from "./errors.js";
import type { ProviderFactory } from "./provider.js";

interface Adapter {
  readonly package: string;
  /** What npm has to install for it. */
  readonly install: string;
}

const redis: Adapter = { package: "@dlock/redis", install: "@dlock/redis ioredis" };
const zookeeper: Adapter = { package: "@dlock/zookeeper", install: "@dlock/zookeeper" };
const sql = (driver: string): Adapter => ({ package: "@dlock/sql", install: `@dlock/sql ${driver}` });

/** By scheme, the fastest first: what `recommend` goes by. */
const adapters: { readonly [scheme: string]: Adapter } = {
  redis,
  rediss: redis,
  "redis+sentinel": redis,
  "redis+cluster": redis,
  "redis+quorum": redis,
  zookeeper,
  zk: zookeeper,
  postgres: sql("pg"),
  postgresql: sql("pg"),
  mysql: sql("mysql2"),
  mariadb: sql("mysql2"),
  sqlite: sql("libsql"),
};

/** Larger for slower backends, by their scheme. */
export function costOf(scheme: string): number {
  if (scheme === "memory") return -1;
  const index = Object.keys(adapters).indexOf(scheme);
  return index < 0 ? Number.POSITIVE_INFINITY : index;
}

/** The factory of the adapter that serves a scheme, loaded only now. Throws `LockConfigError` that says what to install. */
export async function loadAdapter(scheme: string): Promise<ProviderFactory> {
  const adapter = Object.hasOwn(adapters, scheme) ? adapters[scheme] : undefined;
  if (adapter === undefined) {
    const accepted = `a scheme out of memory:, ${Object.keys(adapters).join(":, ")}:, or an entry that names its package: { url, adapter }`;
    throw new LockConfigError("url", `${scheme}:`, accepted);
  }
  const loaded = (await importPackage(adapter.package)) ?? (await importFrom(applications(), adapter.package));
  if (loaded === undefined) {
    throw new LockConfigError("url", `${scheme}:`, `its adapter to be installed: npm install ${adapter.install}`);
  }
  return factoryOf(loaded, "url", `${scheme}:`, adapter.package);
}

/** The factory of a third party's adapter: a package, or a file by its path, as the folder sees it. Throws `LockConfigError`. */
export async function loadForeignAdapter(name: string, folder: string): Promise<ProviderFactory> {
  let loaded: Module | undefined;
  try {
    loaded = await importFrom([resolve(folder, "package.json"), ...applications()], name);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new LockConfigError("adapter", name, `a module that can be loaded: ${why}`, undefined, error);
  }
  if (loaded === undefined) {
    const isFile = /^\.{0,2}[\\/]|^[a-z]:/i.test(name);
    const accepted = isFile ? "a file that exists" : `a package that is installed: npm install ${name}`;
    throw new LockConfigError("adapter", name, accepted);
  }
  return factoryOf(loaded, "adapter", name, name);
}

function factoryOf(loaded: Module, field: string, value: string, name: string): ProviderFactory {
  if (typeof loaded.createProvider === "function") return loaded.createProvider as ProviderFactory;
  throw new LockConfigError(field, value, `a ${name} that exports createProvider`);
}

type Module = { readonly createProvider?: unknown };

async function importPackage(name: string, specifier: string = name): Promise<Module | undefined> {
  try {
    return (await import(specifier)) as Module;
  } catch (error) {
    if (isMissing(error, name)) return undefined;
    throw error;
  }
}

/** An adapter is a dependency of the application, which a strict package layout does not show to this package. */
function applications(): readonly string[] {
  return [process.argv[1], resolve("package.json")].filter((from) => from !== undefined);
}

async function importFrom(files: readonly string[], name: string): Promise<Module | undefined> {
  for (const from of files) {
    try {
      const found = createRequire(pathToFileURL(from)).resolve(name);
      return await importPackage(name, pathToFileURL(found).href);
    } catch (error) {
      if ((error as { code?: unknown }).code === "ERR_PACKAGE_PATH_NOT_EXPORTED") return importAs(from, name);
      if (!isMissing(error, name)) throw error;
    }
  }
  return undefined;
}

/** As the file would import it: packages may export themselves for `import` only, which `require` does not find. */
function importAs(file: string, name: string): Promise<Module> {
  const importModuleDynamically = constants.USE_MAIN_CONTEXT_DEFAULT_LOADER;
  const load = new Script("(name) => import(name)", { filename: file, importModuleDynamically });
  return (load.runInThisContext() as (name: string) => Promise<Module>)(name);
}

function isMissing(error: unknown, name: string): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const missing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  return missing && typeof message === "string" && message.includes(`'${name}'`);
}
