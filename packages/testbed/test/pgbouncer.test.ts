import { Client } from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isSelected, startPgbouncer, startPostgres } from "@dlock/testbed";
import type { Pgbouncer, PgbouncerConfig, StartedDatabase } from "@dlock/testbed";

describe.runIf(isSelected("pgbouncer") && isSelected("postgres"))("a pgbouncer", () => {
  let postgres: StartedDatabase;
  beforeAll(async () => {
    postgres = await startPostgres();
  });
  afterAll(() => postgres.stop());

  async function withClients(
    { pooler, url = pooler.url }: { readonly pooler: Pgbouncer; readonly url?: string },
    work: (one: Client, other: Client) => Promise<void>,
  ): Promise<void> {
    const clients = [new Client(url), new Client(url)] as const;
    try {
      for (const client of clients) await client.on("error", () => {}).connect();
      await work(...clients);
    } finally {
      await Promise.all(clients.map((client) => client.end().catch(() => {})));
      await pooler.stop();
    }
  }
  const start = (config?: PgbouncerConfig) => startPgbouncer(postgres, { default_pool_size: "1", ...config });
  const backend = async (client: Client) =>
    (await client.query<{ pid: number }>("select pg_backend_pid() as pid")).rows[0]?.pid;

  it("lends one server connection to many clients, a transaction at a time", async () => {
    await withClients({ pooler: await start() }, async (one, other) => {
      await one.query("begin");
      const first = await backend(one);
      const second = backend(other);
      expect(await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 200, "waits"))])).toBe("waits");
      await one.query("commit");
      expect(await second).toBe(first);
    });
  });

  it("keeps a connection for a client in session mode, and shows what it does", async () => {
    const pooler = await start({ pool_mode: "session", default_pool_size: "2" });
    await withClients({ pooler }, async (one, other) => {
      expect(await backend(one)).not.toBe(await backend(other));
      const pools = await pooler.show("pools");
      expect(pools.find(({ database }) => database === "postgres")).toMatchObject({ pool_mode: "session" });
      expect((await postgres.sessions()).length).toBe(2);
    });
    await expect.poll(() => postgres.sessions()).toEqual([]);
  });

  it("can be killed, restarted, and reached through links", async () => {
    const pooler = await start();
    const link = await pooler.link();
    await withClients({ pooler, url: link.url }, async (one) => {
      expect(await backend(one)).toBeGreaterThan(0);
      await pooler.server.kill();
      await expect(backend(one)).rejects.toThrow();
      await pooler.server.restart({ keepData: true });
      const again = new Client(link.url);
      await again.connect();
      expect(await backend(again)).toBeGreaterThan(0);
      await again.end();
    });
  });
});
