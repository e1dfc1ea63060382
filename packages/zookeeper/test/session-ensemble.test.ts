import { isSelected, type StartedZooKeeper, startZooKeeperEnsemble, type ZooKeeperEnsemble } from "@dlock/testbed";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Session } from "../src/session.js";
import { bytes, name, opener, sleep, until } from "./session-side.js";

const open = opener((close) => onTestFinished(close));

describe.runIf(isSelected("zookeeper"))("a session with an ensemble", () => {
  let ensemble: ZooKeeperEnsemble;
  // A follower that is cut off goes on serving for so many ticks of 100 ms.
  beforeAll(async () => void (ensemble = await startZooKeeperEnsemble(3, { syncLimit: "60" })), 60_000);
  afterAll(() => ensemble?.stop());

  /** A node by a session that keeps it. */
  async function kept(session: Session): Promise<string> {
    const path = name();
    await session.create(path, bytes(""), { kind: "ephemeral" });
    session.keep(path, () => {});
    return path;
  }

  test("is uncertain before the leader ends it, while the server that is cut off still answers", async () => {
    const [leader, [follower]] = [await ensemble.leader(), await ensemble.followers()];
    if (follower === undefined) throw new Error("no follower");
    for (let round = 0; round < 4; round++) {
      const tickTime = round % 2 === 0 ? undefined : 100;
      const session = await open(follower.port, { timeout: 1_000, tickTime });
      // It asks nothing of the leader, and so is answered.
      const onlooker = await open(follower.port, { timeout: 10_000 });
      const path = await kept(session);
      const elsewhere = await open(leader.port, { timeout: 10_000 });
      await onlooker.sync("/");
      await elsewhere.sync("/");
      await sleep(300 + round * 37);
      expect(await elsewhere.exists(path)).toBeDefined();
      ensemble.between(leader, follower).freeze();
      onTestFinished(() => ensemble.between(leader, follower).heal());
      let stillThere = performance.now();
      let answered = 0;
      const asking = setInterval(() => {
        onlooker.exists(path).then(
          (stat) => stat && (answered = performance.now()),
          () => {},
        );
      }, 10);
      for (let asked = stillThere; (await elsewhere.exists(path)) !== undefined; asked = performance.now()) {
        stillThere = asked;
        await sleep(2);
      }
      const gone = performance.now();
      await sleep(50);
      clearInterval(asking);
      expect(session.certainUntil()).toBeLessThan(gone);
      // Not that it gave up at once either.
      expect(session.certainUntil()).toBeGreaterThan(stillThere - 1_000);
      expect(answered, "the server that is cut off answered no more: this shows nothing").toBeGreaterThan(gone);
      ensemble.between(leader, follower).heal();
      await until(() => session.lost.aborted, 10_000);
      await ensemble.settle();
    }
  }, 60_000);

  test("goes to another server when its own is cut off from the leader, and is certain all along", async () => {
    const session = await withFollower();
    const path = await kept(session);
    const around = ensemble.around(await serverOf(session));
    around.freeze();
    onTestFinished(() => around.heal());
    let least = Number.POSITIVE_INFINITY;
    for (const end = performance.now() + 4_000; performance.now() < end; await sleep(10)) {
      least = Math.min(least, session.certainUntil() - performance.now());
    }
    around.heal();
    expect(least).toBeGreaterThan(0);
    expect(await session.exists(path)).toMatchObject({ ephemeralOwner: session.id });
    await ensemble.settle();
  }, 60_000);

  /** A session that knows all servers, and has met one that follows. */
  async function withFollower(): Promise<Session> {
    const ports = ensemble.nodes.map(({ port }) => port);
    for (;;) {
      const session = await open(ports, { timeout: 3_000 });
      if ((await (await serverOf(session)).role()) === "follower") return session;
      await session.close();
    }
  }

  async function serverOf(session: Session): Promise<StartedZooKeeper> {
    const id = `0x${BigInt.asUintN(64, session.id).toString(16)}`;
    for (const node of ensemble.nodes) if ((await node.say("cons")).includes(id)) return node;
    throw new Error("nobody serves the session");
  }

  test("survives the death of the leader, with its nodes", async () => {
    const ports = ensemble.nodes.map(({ port }) => port);
    const session = await open(ports, { timeout: 10_000 });
    const path = await kept(session);
    const leader = await ensemble.leader();
    await leader.server.kill();
    await ensemble.settle(ensemble.nodes.filter((node) => node !== leader));
    await session.ready(performance.now() + 8_000);
    await until(
      async () =>
        await session.heartbeat(path).then(
          () => true,
          () => false,
        ),
      5_000,
    );
    expect(await session.exists(path)).toMatchObject({ ephemeralOwner: session.id });
    await leader.server.restart({ keepData: true });
  }, 60_000);
});
