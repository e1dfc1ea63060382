import { createRequire } from "node:module";
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
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

const adapters: { readonly [scheme: string]: Adapter } = {
  sqlite: sql("libsql"),
  postgres: sql("pg"),
  postgresql: sql("pg"),
  mysql: sql("mysql2"),
  mariadb: sql("mysql2"),
  redis,
  rediss: redis,
  "redis+sentinel": redis,
  "redis+cluster": redis,
  zookeeper,
  zk: zookeeper,
};

/** The factory of the adapter that serves the scheme, loaded only now. Throws `LockConfigError` that says what to install. */
export async function loadAdapter(scheme: string): Promise<ProviderFactory> {
  const adapter = Object.hasOwn(adapters, scheme) ? adapters[scheme] : undefined;
  if (adapter === undefined) {
    throw new LockConfigError("url", `${scheme}:`, `a scheme out of memory:, ${Object.keys(adapters).join(":, ")}:`);
  }
  const loaded = (await importPackage(adapter.package)) ?? (await importFromApplication(adapter.package));
  if (loaded === undefined) {
    throw new LockConfigError("url", `${scheme}:`, `its adapter to be installed: npm install ${adapter.install}`);
  }
  if (typeof loaded.createProvider !== "function") {
    throw new LockConfigError("url", `${scheme}:`, `a ${adapter.package} that exports createProvider`);
  }
  return loaded.createProvider as ProviderFactory;
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
async function importFromApplication(name: string): Promise<Module | undefined> {
  for (const from of [process.argv[1], resolve("package.json")]) {
    if (from === undefined) continue;
    try {
      const found = createRequire(pathToFileURL(from)).resolve(name);
      return await importPackage(name, pathToFileURL(found).href);
    } catch (error) {
      if (!isMissing(error, name)) throw error;
    }
  }
  return undefined;
}

function isMissing(error: unknown, name: string): boolean {
  const { code, message } = error as { code?: unknown; message?: unknown };
  const missing = code === "ERR_MODULE_NOT_FOUND" || code === "MODULE_NOT_FOUND";
  return missing && typeof message === "string" && message.includes(`'${name}'`);
}
