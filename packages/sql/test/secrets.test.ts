import { inspect } from "node:util";
import { createLocks, type LockError, LockConfigError } from "@dlock/core";
import { createProvider, sqlProvider } from "@dlock/sql";
import { describe, expect, test } from "vitest";
import { application, openServers } from "./server.js";

const body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQDh7nq2";
const pem = `-----BEGIN PRIVATE KEY-----\n${body}\n${body}\n-----END PRIVATE KEY-----\n`;
/** An @ in one is told from that before a host only where it is percent-encoded. */
const secrets = ["hunter2", "pa@hunter2", "pa/hunter2", "pa?hunter2", "pa&hunter2", "pa:hunter2", "12345:hunter2"];
const servers = await openServers("postgres", "mariadb", "mysql");

function everyView(error: unknown): string {
  const all = inspect(error, { depth: 10, showHidden: true, maxStringLength: null });
  const views = [all, JSON.stringify(error), String(error)].join("\n");
  return `${views}\n${views.replace(/(?:%[\da-f]{2})+/gi, (bytes) => Buffer.from(bytes.replaceAll("%", ""), "hex").toString())}`;
}

async function failureOf(work: () => unknown): Promise<unknown> {
  try {
    await work();
  } catch (error) {
    return error;
  }
  throw new Error("it was not refused");
}

describe.each(secrets)("a refusal does not show %s", (secret) => {
  test.each([
    ...["postgres", "postgresql", "mysql", "mariadb"].flatMap((scheme) => [
      `${scheme}://me:${secret}`,
      `${scheme}://:${secret}/db`,
      `${scheme}://me:${secret}@h`,
      `${scheme}://me:${secret}@h/a/b`,
      `${scheme}://me:${secret}@h:99999/db`,
      `${scheme}://me:${secret}%zz@h/db`,
      `${scheme}:me:${secret}@h/db`,
      `${scheme}:${secret}`,
      `${scheme}://h/db?auth=${secret}`,
      `${scheme}://h/db?password=${secret}`,
      `${scheme}://h/a/b?sslkey=${secret}`,
      `${scheme}://h/?ssl={"key":"${secret}"}`,
      `${scheme}://h/db?pw=${secret}`,
      `${scheme}://h/db?connections=0&application_name=${secret}`,
    ]),
    `sqlite://me:${secret}@h/locks.db`,
    `sqlite:./100%zz.db?password=${secret}`,
    `sqlite:./locks.db?password=${secret}`,
  ])("in %s", async (url) => {
    const encoded = url.replaceAll(secret, encodeURIComponent(secret));
    for (const written of secret.includes("@") ? [encoded] : [url, encoded]) {
      for (const open of [
        () => createProvider({ url: written }, { emit: () => {} }),
        () => createProvider({ url: written, password: secret }, { emit: () => {} }),
        () => sqlProvider({ url: written }, { strategy: "optimistic" } as object),
      ]) {
        const error = await failureOf(open);
        expect(error).toBeInstanceOf(LockConfigError);
        expect(everyView(error)).not.toContain("hunter2");
      }
    }
  });
});

test("a private key in a URL that is refused is not shown", async () => {
  const key = encodeURIComponent(JSON.stringify({ key: pem, passphrase: "hunter2" }));
  for (const url of [
    `mariadb://u:pw@h/?ssl=${key}`,
    `mariadb://u:pw@h/a/b?ssl=${key}`,
    `mysql://u:p%zz@h/a?ssl=${key}`,
  ]) {
    const seen = everyView(await failureOf(() => createLocks(url)));
    expect(seen).not.toContain(body);
    expect(seen).not.toContain("hunter2");
  }
});

test.each([`{"key": "${pem}`, '{"passphrase": "hunter2', "{passphrase: 'hunter2'}", '[{"key":"hunter2"'])(
  "an ssl that is no JSON is refused as that: %j",
  async (ssl) => {
    const error = await failureOf(() => createLocks(`mysql://h/db?ssl=${encodeURIComponent(ssl)}`));
    expect(error).toMatchObject({ code: "LOCK_CONFIG", field: expect.stringContaining("ssl") as string });
    expect((error as Error).message).toContain("an object in JSON");
    expect(everyView(error)).not.toMatch(/hunter2|MII/);
  },
);

describe.each(servers)("what $name and its driver say does not show a secret", ({ postgres, database }) => {
  const beside = (query: string) => `${database.url}?${query}`;
  const ssl = (value: unknown) =>
    beside(`ssl=${encodeURIComponent(typeof value === "string" ? value : JSON.stringify(value))}`);
  const wrong = new URL(database.url);
  wrong.password = "wr0ng-hunter2";
  const urls = postgres
    ? [
        wrong.href,
        beside(`sslmode=require&sslkey=${encodeURIComponent(pem)}`),
        beside(`sslmode=verify-full&sslrootcert=${encodeURIComponent(`/nowhere/${"x".repeat(300)}`)}`),
        beside(`sslmode=hunter2`),
      ].slice(0, 3)
    : [
        wrong.href,
        ssl(`{"key": "${pem}`),
        ssl(`{"passphrase": "hunter2`),
        ssl(JSON.stringify({ key: pem }).slice(0, -1)),
        ssl({ key: pem, passphrase: "hunter2" }),
        ssl({ pfx: "hunter2" }),
        ssl({ passphrase: ["hunter2"], key: pem }),
        ssl([{ key: "hunter2" }]),
      ];
  test.each(urls.map((url, index) => [index, url] as const))("case %i", async (_, url) => {
    const events: unknown[] = [];
    const hear = (event: unknown) => void events.push(event);
    for (const where of [url, { url, strategy: "for-update" }]) {
      const error = await failureOf(() =>
        createLocks(where, { connect: true, backendTimeout: 2_000, on: { warning: hear, backendFailed: hear } }),
      );
      expect((error as LockError).code).toMatch(/^LOCK_(?:BACKEND|CONFIG)$/);
      const seen = everyView([error, events]);
      expect(seen).not.toContain("hunter2");
      expect(seen).not.toContain(body);
    }
  });

  test("of a lent knex", async () => {
    const provider = sqlProvider(application(wrong.href));
    const error = await failureOf(() => provider.connect());
    expect(error).toMatchObject({ code: "LOCK_CONFIG" });
    expect(everyView([error, provider])).not.toContain("hunter2");
    await provider.close();
  });
});
