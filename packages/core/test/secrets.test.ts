import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { inspect, promisify } from "node:util";
import {
  asLockError,
  createLocks,
  LockBackendError,
  LockConfigError,
  LockLostError,
  LockTimeoutError,
  type ProviderNotice,
} from "@dlock/core";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { faulty } from "./support.js";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "dlock-hidden-"));
  vi.stubEnv("DLOCK_URL", "");
  vi.stubEnv("DLOCK_CONFIG", "");
});
afterEach(async () => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
  await rm(folder, { recursive: true });
});

const body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDh7nq2";
const pem = `-----BEGIN PRIVATE KEY-----\n${body}\n${body}\n-----END PRIVATE KEY-----\n`;
/** Each with the part of it that nobody may see: longer ones are cut in messages, and so are those with the delimiters of a URL in them. */
const secrets: readonly (readonly [secret: string, telling: string])[] = [
  ["hunter2", "hunter2"],
  ["hunter2@home", "hunter2"],
  ["hunter2/or/not", "hunter2"],
  ["a b hunter2", "hunter2"],
  ["pa:hunter2", "hunter2"],
  ["12345:hunter2", "hunter2"],
  ["pa?hunter2", "hunter2"],
  ["pa&hunter2", "hunter2"],
  ["pa#hunter2", "hunter2"],
  ["'hunter2\"", "hunter2"],
  ["hün🔒ter2", "ter2"],
  ["${hunter2-x}", "hunter2-x"],
  [pem, body],
  [JSON.stringify({ key: pem }), body],
];

/** As a person, a logger or a program would show it. */
function everyView(error: unknown): string {
  const all = inspect(error, { depth: 10, showHidden: true, maxStringLength: null, breakLength: Infinity });
  const json = JSON.stringify(error, (_, value: unknown) => (typeof value === "bigint" ? String(value) : value));
  const views = [all, json, String(error), (error as Error).stack ?? ""];
  for (let each = error; each instanceof Error; each = each.cause) {
    const own = each as Error & { readonly value?: unknown; readonly accepted?: unknown; readonly field?: unknown };
    views.push(own.message, own.stack ?? "", String(own.value), String(own.accepted), String(own.field));
  }
  return views.flatMap((view) => [view, decoded(view)]).join("\n");
}

function decoded(text: string): string {
  return text.replace(/(?:%[\da-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll("%", ""), "hex").toString());
}

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("it was not refused");
}

/** URLs that something is wrong with, and configurations around them. */
const urls: readonly ((secret: string) => string)[] = [
  (secret) => `redsi://me:${secret}@host/1`,
  (secret) => `redsi://:${secret}@host`,
  (secret) => `redsi://${secret}@host`,
  (secret) => `redsi://me:${secret}`,
  (secret) => `redsi://:${secret}/db`,
  (secret) => `redsi:me:${secret}`,
  (secret) => `redsi:/me:${secret}@host`,
  (secret) => `redsi:${secret}`,
  (secret) => `//me:${secret}`,
  (secret) => `me:${secret}@host`,
  (secret) => `:${secret}@host`,
  ...["auth", "pw", "pwd", "password", "apikey", "api_key", "token", "sslkey", "ssl", "anything"].map(
    (name) => (secret: string) => `redsi://host?${name}=${secret}`,
  ),
  (secret) => `redsi://a,me:${secret}@b,c/x?tls=true`,
  (secret) => `redsi://host#${secret}`,
];
const shapes: readonly ((url: string) => unknown)[] = [
  (url) => url,
  (url) => ({ href: url }),
  (url) => ({ url }),
  (url) => [url, url],
  (url) => () => url,
  (url) => ({ url, quorum: [url] }),
  (url) => ({ quorum: [url, url] }),
  (url) => ({ quorum: [url, url, url] }),
  (url) => ({ migrate: { from: url, to: url } }),
  (url) => ({ backends: url }),
  (url) => ({ backends: { a: url } }),
  (url) => ({ backends: { a: { url } } }),
  (url) => ({ backends: { [url]: "memory:" } }),
  (url) => ({ backends: { a: "memory:" }, default: url }),
  (url) => ({ backends: { a: "memory:" }, [url]: 1 }),
  (url) => ({ backends: { a: "memory:" }, routes: { x: url } }),
  (url) => ({ backends: { a: { quorum: ["memory:", "memory:", { url }] } } }),
  (url) => ({ backends: { a: { migrate: { from: "memory:", to: url } } } }),
  (url) => ({ backends: { a: { url: "memory:", [url]: true } } }),
  (url) => ({ backends: { a: { url: "memory:", adapter: url } } }),
  (url) => ({ backends: { a: { url: "memory:", require: { exclusion: url } } } }),
  (url) => ({ url: Buffer.from(url) }),
];

describe("a refusal shows no secret", () => {
  test.each(secrets)("that is %j, wherever in a URL and in a configuration it stands", async (secret, telling) => {
    for (const url of urls) {
      for (const written of [url(secret), url(encodeURIComponent(secret))]) {
        for (const shape of shapes) {
          const error = await failureOf(() => createLocks(shape(written) as string));
          expect(everyView(error), `${inspect(shape(written))}`).not.toContain(telling);
        }
      }
    }
  });

  test.each(secrets)("that is %j, in an option by any name or kind", async (secret, telling) => {
    const values = [secret, Buffer.from(secret), [secret], { deep: { er: secret } }, () => secret, new String(secret)];
    for (const name of ["password", "sentinelPassword", "pfx", "passphrase", "tls.key", "ssl.key", "auth", "apiKey"]) {
      for (const value of values) {
        const error = new LockConfigError(name, value, "something else");
        expect(everyView(error.within("backends.a").within("file.json: "))).not.toContain(telling);
      }
    }
    for (const value of values.slice(1)) expect(everyView(new LockConfigError("x", value, "y"))).not.toContain(telling);
    const unknown = { url: "memory:", [secret]: "x", tls: { key: secret, passphrase: secret } };
    expect(everyView(await failureOf(() => createLocks(unknown)))).not.toContain(telling);
  });

  test("in DLOCK_URL, in DLOCK_CONFIG and in a file", async () => {
    for (const [secret, telling] of secrets) {
      for (const url of urls) {
        vi.stubEnv("DLOCK_URL", url(secret));
        expect(everyView(await failureOf(() => createLocks()))).not.toContain(telling);
        vi.stubEnv("DLOCK_URL", "");
        vi.stubEnv("DLOCK_CONFIG", url(secret));
        expect(everyView(await failureOf(() => createLocks()))).not.toContain(telling);
        const file = join(folder, "locks.json");
        await writeFile(file, JSON.stringify({ backends: { a: url(secret) } }));
        expect(everyView(await failureOf(() => createLocks(file)))).not.toContain(telling);
        await writeFile(file, `{ "backends": { "a": "${url(secret)}" } }}`);
        expect(everyView(await failureOf(() => createLocks(file)))).not.toContain(telling);
      }
    }
  });

  test("in a default of a variable, or around one", async () => {
    vi.stubEnv("UNSET", undefined);
    for (const text of ["${UNSET:-hunter2", "${UNSET-hunter2}", "redis://u:pa${hunter2@host", "${UNSET?hunter2}"]) {
      const error = await failureOf(() => createLocks({ backends: { a: text } }));
      expect(everyView(error).replaceAll("${hunter2…", "")).not.toContain("hunter2");
    }
  });
});

describe("a refusal shows no secret either", () => {
  test("in the source of a function", async () => {
    const where: unknown = () => "redis://:hunter2@host";
    expect(everyView(await failureOf(() => createLocks(where as string)))).not.toContain("hunter2");
    expect(new LockConfigError("emit", where, "another").value).toBe("a function");
  });

  test("in the place of the field", async () => {
    const routes = { "redis://me:hunter2@host": "b" };
    const error = await failureOf(() => createLocks({ backends: { a: "memory:" }, routes }));
    expect(error).toMatchObject({ field: expect.stringContaining("…@host") as string, value: "b" });
    expect(everyView(error)).not.toContain("hunter2");
  });

  test("that is a key without the lines around it", () => {
    const key = Buffer.from(Array.from({ length: 200 }, (_, index) => (index * 89) % 256)).toString("base64");
    for (const text of [key, encodeURIComponent(key)]) {
      expect(everyView(asLockError(new Error(`ENAMETOOLONG: open '${text}'`)))).not.toContain(text.slice(0, 20));
    }
  });
});

describe("a refusal still says what is wrong", () => {
  test.each([
    ["redis://me:pw@h:6379/0?tls=yes", "redis://…@h:6379/0?tls=…"],
    ["redis://a:1,b:2,[::1]:3/main", "redis://a:1,b:2,[::1]:3/main"],
    ["redis://h:99999", "redis://h:99999"],
    ["zookeeper://zk1:2181,zk2:port/app", "zookeeper://zk1:2181,zk2:…"],
    ["postgres://db", "postgres://db"],
    ["mysql://db/a/b?ssl={}&x=1", "mysql://db/a/b?ssl=…&x=…"],
    ["sqlite:./locks:1.db", "sqlite:./locks:1.db"],
    ["sqlite:///var/lib/locks.db", "sqlite:///var/lib/locks.db"],
    ["/etc/dlock@home/locks.json", "/etc/dlock@home/locks.json"],
    ["C:\\locks\\locks.db", "C:\\locks\\locks.db"],
    ["@acme/dlock-x", "@acme/dlock-x"],
    ["localhost:6379", "localhost:6379"],
    ["sqlite::memory:", "sqlite::memory:"],
    ["git+https://u:pw@host/x.git", "git+https://…@host/x.git"],
    ["redsi:", "redsi:"],
    ["optimistic", "optimistic"],
    ["quorum or consensus", "quorum or consensus"],
  ])("%s", (value, shown) => {
    expect(new LockConfigError("url", value, "another")).toMatchObject({ value: shown });
    const message = `url: ${JSON.stringify(shown)} is not accepted; expected another`;
    expect(new LockConfigError("url", value, "another").message).toBe(message);
  });

  test("names of locks are shown as they are", () => {
    for (const key of ["tenant:orders:42", "user:token:42", "a?b=c", "password: x", "a@b:c"]) {
      expect(new LockConfigError("key", key, "another").value).toBe(key);
      expect(new LockConfigError("limit", key, "another", key).value).toBe(key);
      expect(new LockTimeoutError(key, 1).message).toContain(`"${key}"`);
      expect(new LockBackendError(`redis failed about "${key}": it is down`, { key }).message).toContain(`"${key}"`);
      expect(new LockLostError(key, "is over").message).toContain(`"${key}"`);
    }
  });

  test("a field that nobody knows is named, unless it may be part of a password", async () => {
    for (const [field, shown] of [
      ["speed", "speed"],
      ["replica_timeout", "replica_timeout"],
      ["hunter2", "…"],
      ["ss@host", "…"],
    ] as const) {
      const error = await failureOf(() => createLocks({ url: "memory:", [field]: 1 }));
      expect(error).toMatchObject({ code: "LOCK_CONFIG", value: shown });
    }
  });

  test.each([
    "redis failed: WRONGPASS invalid username-password pair or user is disabled.",
    "mysql://…@db/app failed: Access denied for user 'x'@'localhost' (using password: YES)",
    'password authentication failed for user "app"',
    "connect ECONNREFUSED 127.0.0.1:6379",
    "redis://h:6379: connection refused",
    "Cannot find package '@dlock/sql' imported from file:///srv/node_modules/@acme/app/x.js",
    "see https://example.org/docs?version=3 for user root@localhost",
    "ENOENT: no such file or directory, open '/etc/ssl/client.key'",
    'null value in column "key" violates not-null constraint',
    "Unexpected identifier 'oops'",
    "Unexpected token 'u', \"undefined\" is not valid JSON",
  ])("what a backend said stays: %s", (said) => {
    const cause = new Error(said);
    const error = asLockError(cause, "key");
    expect(error.message).toContain(said);
    expect(error.cause).toBe(cause);
  });
});

/** What software that is not ours says when something is wrong. */
const sayings: readonly ((secret: string) => string)[] = [
  (secret) => `cannot connect to redis://me:${encodeURIComponent(secret)}@host:6379/0: refused`,
  (secret) => `Invalid URL: postgres://:${encodeURIComponent(secret)}`,
  (secret) => `bad option ?x=1 in mysql://host/db?auth=${encodeURIComponent(secret)}`,
  (secret) => `Unknown SSL profile '${JSON.stringify({ key: secret })}'`,
  (secret) => `Unknown SSL profile '{"passphrase": ${JSON.stringify(secret)}`,
  (secret) => `host=db password=${encodeURIComponent(secret)} user=me`,
  (secret) => `no user in https://${encodeURIComponent(secret)}@host/x`,
  (secret) => `the password: ${encodeURIComponent(secret)}, is wrong`,
  (secret) => `ENOENT: no such file or directory, open '${secret.includes(body) ? secret : ""}'`,
  (secret) => `mistake in line 2\n1 | {\n2 |   ${encodeURIComponent(secret)} }\n  : ^\n3 | }`,
  (secret) => `invalid settings { apiKey: ${JSON.stringify(secret)} }`,
  (secret) => `invalid settings ${JSON.stringify(JSON.stringify({ password: secret }))}`,
];

describe("what another piece of software said shows no secret", () => {
  test.each(secrets)("that is %j, in a message, a cause or what hangs on it", async (secret, telling) => {
    for (const say of sayings) {
      const said = say(secret);
      class DriverError extends TypeError {
        readonly code = "E_DRIVER";
        readonly input = said;
        readonly config = { ssl: { key: secret, deep: [{ password: secret }] }, pfx: Buffer.from(secret) };
        override readonly cause = new AggregateError([new Error(said)], said);
      }
      const cause: DriverError & { self?: unknown } = new DriverError(said);
      cause.self = cause;
      Object.assign(cause, {
        seen: new Map<string, unknown>([
          ["said", new Set([said])],
          ["password", secret],
        ]),
        url: URL.canParse(`redis://me:${secret}@h`) ? new URL(`redis://me:${secret}@h`) : undefined,
        client: new (class Client {
          readonly options = { password: secret };
        })(),
        [Symbol("options")]: { password: secret },
      });
      for (const error of [
        asLockError(cause, "key"),
        new LockBackendError(`failed: ${said}`, { cause }),
        new LockConfigError("driver", "x", `one that works: ${said}`, undefined, cause),
        new LockLostError("key", "ended", { cause }),
        new LockTimeoutError("key", 1, cause),
        asLockError(said),
        new LockBackendError("failed", { cause: { message: said, ssl: { key: secret } } }),
      ]) {
        expect(everyView(error), said).not.toContain(telling);
        if (error.cause instanceof Error) {
          expect(error.cause).toBeInstanceOf(DriverError);
          expect(error.cause).toMatchObject({ code: "E_DRIVER", name: "TypeError" });
          expect(error.cause.stack).toMatch(/\n {4}at /);
        }
      }
    }
  });

  test("to a listener", async () => {
    const heard: unknown[] = [];
    const said = "cannot reach redis://me:hunter2@host";
    const events = ["warning", "backendFailed", "renewFailed", "releaseFailed"] as const;
    const on = Object.fromEntries(events.map((name) => [name, (event: unknown) => void heard.push(name, event)]));
    let tries = 0;
    const provider = faulty({
      tryAcquire: async (inner) => {
        if ((tries += 1) === 1) throw Object.assign(new Error(said), { retryable: true });
        return inner();
      },
      renew: () => Promise.reject(new Error(said)),
      release: () => Promise.reject(new Error(said)),
    });
    await using locks = await createLocks(provider, { on, ttl: 60, backendTimeout: 200 });
    const lock = await locks.acquire("key");
    await new Promise((resolve) => lock.signal.addEventListener("abort", resolve));
    await lock.release();
    await vi.waitFor(() => expect(heard).toEqual(expect.arrayContaining(["backendFailed", "renewFailed"])));
    expect(everyView(heard)).toContain("redis://…@host");
    expect(everyView(heard)).not.toContain("hunter2");
  });

  test("in a notice of an adapter, or in what the adapter throws", async () => {
    const file = join(folder, "adapter.mjs");
    await writeFile(
      file,
      `export const createProvider = ({ url, fail }, { emit }) => {
        emit({ code: "X", message: "using " + url, error: new Error("not " + url), key: "user:token:1" });
        if (fail) throw new TypeError("cannot use " + url);
        return { guarantees: {}, claim() {} };
      };`,
    );
    const notices: ProviderNotice[] = [];
    const on = { warning: (notice: ProviderNotice) => void notices.push(notice) };
    const entry = { url: "xx://me:hunter2@host", adapter: file };
    await (await createLocks(entry, { on })).close();
    expect(notices).toMatchObject([{ code: "X", message: "using xx://…@host", key: "user:token:1" }]);
    expect(everyView(notices)).not.toContain("hunter2");
    const error = await failureOf(() => createLocks({ ...entry, fail: true }));
    expect(error).toMatchObject({ name: "TypeError", message: "cannot use xx://…@host" });
    expect(everyView(error)).not.toContain("hunter2");
  });
});

describe("an error of a configuration module", () => {
  test.each([
    [
      "that throws",
      "mjs",
      `throw new Error("no luck with redis://me:hunter2@h", { cause: new Error("pw=hunter2") })`,
      /a file that can be read: no luck with redis:\/\/…@h$/,
    ],
    [
      "that throws what hangs on it",
      "mjs",
      `throw Object.assign(new RangeError("no"), { ssl: { key: "hunter2" } })`,
      /a file that can be read: no$/,
    ],
    ["that throws no error", "mjs", `throw { password: "hunter2", at: "no luck" }`, /a file that can be read/],
    [
      "that reads what is no JSON",
      "mjs",
      `export default JSON.parse('{"password": hunter2}')`,
      /Unexpected token .* is not valid JSON$/,
    ],
    [
      "that does not compile",
      "js",
      `module.exports = {\n  password: "hunter2" oops\n};`,
      /Unexpected identifier 'oops'$/,
    ],
    [
      "that does not compile at a password",
      "js",
      `module.exports = {\n  password: "x"hunter2"\n};`,
      /Unexpected identifier '…'$/,
    ],
    [
      "that imports what is not there",
      "mjs",
      `import { x } from "node:fs"; const password = "hunter2";`,
      /does not provide an export named 'x'$/,
    ],
  ])("%s keeps its message and cause without the secret", async (_, kind, content, message) => {
    const file = join(folder, `locks.${kind}`);
    await writeFile(file, content);
    // In a process of its own: nobody else compiles the module there. What it does not catch, it prints by itself.
    const program = `import { createLocks } from "@dlock/core";
      import { inspect } from "node:util";
      try {
        await createLocks(process.argv[1]);
      } catch (error) {
        console.log(error.message);
        console.log(inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error), error.cause !== undefined);
        throw error;
      }`;
    const run = promisify(execFile)(process.execPath, ["--input-type=module", "-e", program, file], {
      cwd: import.meta.dirname,
    });
    const { stdout, stderr } = (await failureOf(() => run)) as { readonly stdout: string; readonly stderr: string };
    expect(stdout.split("\n")[0]).toMatch(message);
    expect(stdout).toMatch(/ true\n$/);
    expect(stdout).not.toContain("hunter2");
    expect(stderr).toContain("LockConfigError");
    expect(stderr).not.toContain("hunter2");
  });
});

test("locks show nothing of what they were opened with", async () => {
  await using locks = await createLocks({ backends: { a: "memory:hunter2" } });
  expect(inspect(locks, { depth: 10, showHidden: true })).not.toContain("hunter2");
  expect(JSON.stringify(locks)).not.toContain("hunter2");
});
