import { afterEach, describe, expect, it } from "vitest";
import { isSelected, startMariadb, startMysql, startPostgres } from "@dlock/testbed";
import type { StartedDatabase } from "@dlock/testbed";

const flavours = [
  {
    name: "postgres",
    start: startPostgres,
    nap: "select pg_sleep(20)",
    odd: { shared_buffers: "much" },
    folder: "show data_directory",
  },
  {
    name: "mariadb",
    start: startMariadb,
    nap: "select sleep(20)",
    odd: { "innodb-page-size": "5" },
    folder: "select @@tmpdir",
  },
  {
    name: "mysql",
    start: startMysql,
    nap: "select sleep(20)",
    odd: { "innodb-page-size": "5" },
    folder: "select @@tmpdir",
  },
] as const;

describe.each(flavours)("a $name server", ({ name, start, nap, odd, folder }) => {
  describe.runIf(isSelected(name))("that was started", () => {
    const started: StartedDatabase[] = [];
    async function database(config?: Readonly<Record<string, string>>): Promise<StartedDatabase> {
      const one = await start(config);
      started.push(one);
      return one;
    }
    const numbers = async (one: StartedDatabase) => (await one.query("select n from t order by n")).map(({ n }) => n);

    afterEach(async () => {
      await Promise.all(started.splice(0).map((one) => one.stop()));
    });

    it("has a port, a folder and a password of its own", async () => {
      const [one, other] = await Promise.all([database(), database()]);
      await one.query("create table t (n int)");
      await expect(other.query("select * from t")).rejects.toThrow(/does(n't| not) exist/);
      expect(one.host).toBe("127.0.0.1");
      expect(new URL(one.url).password).not.toBe(new URL(other.url).password);
      const folders = await Promise.all([one, other].map((server) => server.query(folder)));
      expect(folders[0]).not.toEqual(folders[1]);
    });

    it("takes options, and does not start with odd ones: the error shows the end of its log", async () => {
      await expect(start(odd)).rejects.toThrow(new RegExp(`${name} ended; the end of its log:[^]*(much|page.size)`));
    });

    it("keeps what it committed when it is killed and restarted with its data, and nothing without", async () => {
      const one = await database();
      await one.query("create table t (n int)");
      for (let n = 1; n <= 3; n++) await one.query(`insert into t values (${n})`);
      await one.server.kill();
      await expect(one.query("select 1")).rejects.toThrow();
      await one.server.restart({ keepData: true });
      expect(await numbers(one)).toEqual([1, 2, 3]);
      await one.server.restart({ keepData: false });
      await expect(one.query("select * from t")).rejects.toThrow(/does(n't| not) exist/);
    });

    it("stands still with all its processes when it is stopped, and answers late", async () => {
      const one = await database();
      await one.query("select 1"); // The process that serves this connection is there before the stop.
      await one.server.pause();
      const answer = one.query("select 1 as one");
      const silence = new Promise((resolve) => setTimeout(resolve, 300, "silence"));
      expect(await Promise.race([answer, silence])).toBe("silence");
      await one.server.resume();
      expect(await answer).toMatchObject([{ one: 1 }]);
    });

    it("can be killed, restarted and ended while it is stopped", async () => {
      const one = await database();
      await one.server.pause();
      await one.server.restart({ keepData: true });
      expect(await one.query("select 1 as one")).toMatchObject([{ one: 1 }]);
      await one.server.pause();
      await one.stop();
      await expect(one.query("select 1")).rejects.toThrow();
    });

    it("shows the sessions of clients, and ends one that is asked for", async () => {
      const one = await database();
      expect(await one.sessions()).toEqual([]);
      const client = await open(one.url);
      const napping = client.run(nap).catch((error: unknown) => error);
      await expect.poll(() => one.sessions()).toMatchObject([{ statement: nap, waits: false }]);
      const [session] = await one.sessions();
      await one.terminate(session?.id ?? 0);
      expect(await napping).toBeInstanceOf(Error);
      await expect.poll(() => one.sessions()).toEqual([]);
    });

    it("tells who stands behind a lock", async () => {
      const one = await database();
      await one.query("create table t (n int primary key)");
      await one.query("insert into t values (1)");
      const [holder, waiter] = await Promise.all([open(one.url), open(one.url)]);
      await holder.run("begin");
      await holder.run("select n from t where n = 1 for update");
      const update = waiter.run("update t set n = 2 where n = 1");
      await expect.poll(async () => (await one.sessions()).filter(({ waits }) => waits)).toHaveLength(1);
      await holder.run("commit");
      await update;
      await expect.poll(async () => (await one.sessions()).filter(({ waits }) => waits)).toEqual([]);
      await Promise.all([holder.end(), waiter.end()]);
    });

    it("can be reached through links", async () => {
      const one = await database();
      const link = await one.link();
      expect(link.url).toBe(one.url.replace(`:${one.port}/`, `:${link.port}/`));
      const client = await open(link.url);
      await client.run("select 1");
      link.freeze();
      const answer = client.run("select 1").then(() => "answer");
      expect(await Promise.race([answer, new Promise((resolve) => setTimeout(resolve, 200, "silence"))])).toBe(
        "silence",
      );
      link.heal();
      expect(await answer).toBe("answer");
      link.cut();
      await expect(client.run("select 1")).rejects.toThrow();
      await expect.poll(() => one.sessions()).toEqual([]);
    });
  });
});

/** A connection as an application has it. */
async function open(url: string): Promise<{ run(sql: string): Promise<unknown>; end(): Promise<void> }> {
  if (url.startsWith("postgres")) {
    const { Client } = await import("pg");
    const client = new Client(url);
    client.on("error", () => {});
    await client.connect();
    return { run: (sql) => client.query(sql), end: () => client.end() };
  }
  const { createConnection } = await import("mysql2/promise");
  const connection = await createConnection(url.replace(/^mariadb/, "mysql"));
  connection.on("error", () => {});
  return { run: (sql) => connection.query(sql), end: () => connection.end() };
}
