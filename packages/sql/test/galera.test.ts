import { createLocks, type ProviderNotice } from "@dlock/core";
import { sqlProvider } from "@dlock/sql";
import { galeraConfig, isSelected, startMariadb } from "@dlock/testbed";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { newKey, openServers, until } from "./server.js";

const config = isSelected("mariadb") ? await galeraConfig() : undefined;
const node = config && (await startMariadb(config));
afterAll(() => node?.stop());
const others = await openServers("postgres", "mariadb", "mysql");

// Where there is no Galera: its library comes from Debian's packages, and only root gets it installed.
test.skipIf(node === undefined).each(["version", "for-update", "advisory"] as const)(
  "a node of a Galera cluster is reported once, under %s",
  async (strategy) => {
    await until(async () => (await node?.query("SHOW STATUS LIKE 'wsrep_ready'"))?.[0]?.["Value"] === "ON");
    const notices: ProviderNotice[] = [];
    const provider = sqlProvider({ url: node?.url ?? "" }, { strategy, emit: (notice) => notices.push(notice) });
    onTestFinished(() => provider.close());
    const locks = await createLocks(provider, { ttl: 1_000 });
    onTestFinished(() => locks.close());
    for (const key of [newKey(), newKey()]) await (await locks.acquire(key)).release();
    expect(notices.map(({ code }) => code)).toEqual(["GALERA"]);
    expect(notices[0]?.message).toMatch(/a Galera cluster \(1 now\).*: let all processes use one node$/);
  },
);

test.skipIf(node === undefined)("a node of a Galera cluster is a warning to whoever named it by its URL", async () => {
  const locks = await createLocks({ url: node?.url ?? "" });
  onTestFinished(() => locks.close());
  const codes: string[] = [];
  locks.on("warning", ({ code }) => codes.push(code));
  await (await locks.acquire(newKey())).release();
  expect(codes).toEqual(["GALERA"]);
});

test.each(others)("no other $name is reported", async ({ database }) => {
  const notices: ProviderNotice[] = [];
  const provider = sqlProvider({ url: database.url }, { emit: (notice) => notices.push(notice) });
  onTestFinished(() => provider.close());
  await provider.connect();
  expect(notices).toEqual([]);
});
