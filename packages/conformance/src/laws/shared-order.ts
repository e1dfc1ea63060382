import assert from "node:assert/strict";
import type { Claim, Guarantees, LockMode, Locks } from "@dlock/core";
import type { Law } from "../law.js";
import type { Stage } from "../stage.js";
import { later, now, sleep, until, within } from "../time.js";
import { listening } from "../turns.js";
import { unordered, unshared } from "./exemptions.js";

const shared = { mode: "shared" } as const;
const exempt = (guarantees: Guarantees) => unshared(guarantees) ?? unordered(guarantees);

export const sharedOrder: readonly Law[] = [
  {
    id: "shared/writer-first",
    title: "a waiting writer is not overtaken by readers that come later",
    exempt,
    async run(stage) {
      const [here, there] = [await stage.peer(), await stage.peer()];
      const key = stage.key();
      const reader = stage.claim(here, { key, ...shared });
      await stage.win(reader);
      const writer = stage.claim(there, { key });
      assert.equal(await stage.ask(writer), undefined);
      const [waiting, passing] = [
        stage.claim(here, { key, ...shared }),
        stage.claim(here, { key, ...shared, join: false }),
      ];
      for (const late of [waiting, passing]) {
        assert.equal(await stage.ask(late), undefined, "a reader went before a writer that waits");
      }
      assert.ok(await stage.ask(reader), "a reader that holds lost its hold to a writer that waits");
      await reader.release();
      assert.equal(await stage.ask(waiting), undefined, "a reader went before a writer whose turn it is");
      await stage.win(writer);
      await writer.release();
      await stage.win(waiting);
    },
  },
  {
    id: "shared/enter-together",
    title: "consecutive readers at the head of the line enter together, and no one behind the next writer does",
    exempt,
    async run(stage) {
      const peers = [await stage.peer(), await stage.peer()] as const;
      const key = stage.key();
      const holder = stage.claim(peers[0], { key });
      await stage.win(holder);
      const join = (modes: readonly LockMode[]): Promise<Claim[]> => lineUp(stage, peers, key, modes);
      const readers = await join(["shared", "shared", "shared"]);
      const [writer, last] = (await join(["exclusive", "shared"])) as [Claim, Claim];
      const told = listening(stage, ...readers);
      await holder.release();
      await told();
      for (const reader of readers.toReversed()) await stage.win(reader);
      for (const reader of readers.slice(1)) {
        await reader.release();
        for (const behind of [last, writer]) assert.equal(await stage.ask(behind), undefined, "let in beside a reader");
      }
      const called = listening(stage, writer);
      await readers[0]?.release();
      assert.equal(await stage.ask(last), undefined, "a reader overtook the writer before it");
      await called();
      await stage.win(writer);
      await writer.release();
      await stage.win(last);
    },
  },
  {
    id: "shared/leaver",
    title: "a waiting writer that gives up, or dies, lets the readers behind it in",
    exempt,
    needs: ["openLinked"],
    async run(stage) {
      const [peer, linked] = [await stage.peer(), await stage.linkedPeer()];
      const key = stage.key();
      const reader = stage.claim(peer, { key, ...shared });
      await stage.win(reader);
      for (const gone of ["released", "dead"] as const) {
        const writer = stage.claim(linked, { key, ttl: stage.ttl });
        assert.equal(await stage.ask(writer), undefined);
        const late = stage.claim(peer, { key, ...shared });
        assert.equal(await stage.ask(late), undefined);
        const told = listening(stage, late);
        if (gone === "released") await writer.release();
        else {
          linked.link.freeze();
          await reader.release();
        }
        const patience =
          gone === "released" ? stage.slack : Math.max(stage.deadWaiter, stage.lifetime(writer)) + 2 * stage.slack;
        await told(patience);
        await stage.win(late, patience, `the lock behind a ${gone} writer`);
        await late.release();
      }
    },
  },
  {
    id: "shared/dead-waiter",
    title:
      "a reader that died while it waited holds up neither the readers beside it nor the writer behind them for long",
    exempt,
    needs: ["openLinked"],
    async run(stage) {
      const [peer, linked] = [await stage.peer(), await stage.linkedPeer()];
      const key = stage.key();
      const holder = stage.claim(peer, { key });
      await stage.win(holder);
      const dead = stage.claim(linked, { key, ...shared, ttl: stage.ttl });
      assert.equal(await stage.ask(dead), undefined);
      const [reader, writer] = [stage.claim(peer, { key, ...shared }), stage.claim(peer, { key })];
      for (const claim of [reader, writer]) assert.equal(await stage.ask(claim), undefined);
      linked.link.freeze();
      const [readerTold, writerTold] = [listening(stage, reader), listening(stage, writer)];
      await holder.release();
      await readerTold();
      await stage.win(reader);
      await reader.release();
      const patience = Math.max(stage.deadWaiter, stage.lifetime(dead)) + 2 * stage.slack;
      await writerTold(patience);
      await stage.win(writer, patience, "the lock behind a dead reader");
    },
  },
  {
    id: "shared/stream",
    title:
      "a writer behind a stream of readers that never ends gets in within two hold times of a reader, and readers go on after it",
    exempt,
    async run(stage) {
      const holdTime = Math.max(150, stage.slack);
      const key = stage.key();
      const stream = new Stream(key, holdTime);
      stage.finally(() => stream.stop());
      const writer = await stage.locks(await stage.peer());
      for (const delay of [0, holdTime / 3, (2 * holdTime) / 3])
        stream.read(await stage.locks(await stage.peer()), delay);
      for (let round = 0; round < 2; round++) {
        const before = stream.entered;
        await until(
          () => stream.entered >= before + 3 && stream.inside > 0,
          6 * holdTime + 2_000,
          "a stream of readers",
        );
        const since = now();
        const lock = await within(2 * holdTime, later(writer.acquire(key)), `a writer behind a stream of readers`);
        assert.equal(stream.inside, 0, `a writer was let in beside a reader, after ${now() - since} ms`);
        assert.equal(await lock.release(), true);
      }
    },
  },
];

/** Readers that come again as soon as they have left. */
class Stream {
  readonly #key: string;
  readonly #holdTime: number;
  #stopped = false;
  inside = 0;
  entered = 0;

  constructor(key: string, holdTime: number) {
    this.#key = key;
    this.#holdTime = holdTime;
  }

  read(locks: Locks, delay: number): void {
    const loop = async (): Promise<void> => {
      await sleep(delay);
      while (!this.#stopped) {
        await locks.withLock(this.#key, shared, async () => {
          this.inside += 1;
          this.entered += 1;
          await sleep(this.#holdTime);
          this.inside -= 1;
        });
      }
    };
    void later(loop());
  }

  stop(): void {
    this.#stopped = true;
  }
}

/** Claims of two processes that wait, in this order. */
async function lineUp(
  stage: Stage,
  peers: readonly [Parameters<Stage["claim"]>[0], Parameters<Stage["claim"]>[0]],
  key: string,
  modes: readonly LockMode[],
): Promise<Claim[]> {
  const line: Claim[] = [];
  for (const [place, mode] of modes.entries()) {
    const claim = stage.claim(peers[place % 2 === 0 ? 0 : 1], { key, mode });
    assert.equal(await stage.ask(claim), undefined);
    line.push(claim);
  }
  return line;
}
