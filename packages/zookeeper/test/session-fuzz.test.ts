import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { monotonicNow } from "@dlock/core";
import { isSelected, startZooKeeper, type StartedZooKeeper } from "@dlock/testbed";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Session } from "../src/session.js";
import { bytes, name } from "./session-side.js";

/** What becomes of a chunk that begins at this offset of the first connection's answers; undefined: the connection breaks after what is given to `last`. */
type Mangle = (chunk: Buffer, offset: number) => { readonly chunk: Buffer; readonly last?: boolean };

/** A way to the server that spoils what the server says on the first connection; whatever comes later is sound. */
async function spoiled(port: number, mangle: Mangle): Promise<{ port: number; said: () => number; close: () => void }> {
  let first = true;
  let offset = 0;
  const server: Server = createServer((client) => {
    const spoils = first;
    first = false;
    const on = connect(port, "127.0.0.1");
    client.on("error", () => {}).on("close", () => on.destroy());
    on.on("error", () => {}).on("close", () => client.destroySoon());
    client.pipe(on);
    on.on("data", (whole) => {
      if (!spoils) return void client.write(whole);
      const { chunk, last } = mangle(whole, offset);
      offset += whole.length;
      client.write(chunk);
      if (last) client.destroySoon();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, said: () => offset, close: () => server.close() };
}

const timeout = 400;

/** Everything a session can do, once; all that matters is that all of it comes to an end. */
async function useSession(port: number): Promise<"usable" | "lost" | "not opened"> {
  const servers = [{ host: "127.0.0.1", port }];
  const auth = [{ scheme: "digest", auth: "me:secret" }];
  let session: Session;
  try {
    session = await Session.open({ servers, timeout, auth }, monotonicNow() + 600);
  } catch {
    return "not opened";
  }
  try {
    const path = name();
    const noop = (): void => {};
    await Promise.allSettled([
      session.create(path, bytes("data"), { kind: "container" }),
      session.create(`${path}/n-`, bytes(""), { kind: "ephemeral-sequential" }),
      session.getChildren(path, noop),
      session.getData(path, noop),
      session.setData(path, bytes("more"), 0),
      session.heartbeat(path),
      session.heartbeat(`${path}/none`),
      session.exists(path),
      session.exists(`${path}/none`),
      session.sync(path),
      session.delete(path, 3),
      session.delete(`${path}/n-0000000000`, -1),
      session.delete(path, -1),
    ]);
    // Sound again, on the next connection if need be, or over; a session that was never one expires.
    for (const end = monotonicNow() + 6 * timeout; !session.lost.aborted;) {
      const asked = await session.exists("/").catch(() => undefined);
      if (asked !== undefined) return "usable";
      if (monotonicNow() > end) throw new Error("neither usable nor lost");
      await session.ready(monotonicNow() + 50).catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    return "lost";
  } finally {
    await session.close();
  }
}

/** Several at a time: most of them wait. */
async function inParallel(rounds: readonly (() => Promise<void>)[], lanes = 24): Promise<void> {
  const left = [...rounds];
  const lane = async (): Promise<void> => {
    for (let next = left.pop(); next !== undefined; next = left.pop()) await next();
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

// What is thrown into the process fails the run: vitest looks for it.
describe.runIf(isSelected("zookeeper"))("whatever a peer says, nothing is thrown and every call ends", () => {
  let zookeeper: StartedZooKeeper;
  let length = 0;
  beforeAll(async () => {
    zookeeper = await startZooKeeper();
    const sound = await spoiled(zookeeper.port, (chunk) => ({ chunk }));
    expect(await useSession(sound.port)).toBe("usable");
    length = sound.said();
    sound.close();
    expect(length).toBeGreaterThan(400);
  });
  afterAll(() => zookeeper?.stop());

  async function round(mangle: Mangle): Promise<string> {
    const way = await spoiled(zookeeper.port, mangle);
    try {
      return await useSession(way.port);
    } finally {
      way.close();
    }
  }

  test("when it breaks off after any byte", async () => {
    const seen = new Set<string>();
    const rounds = Array.from({ length }, (_, cut) => async () => {
      const outcome = await round((chunk, offset) =>
        offset + chunk.length <= cut ? { chunk } : { chunk: chunk.subarray(0, Math.max(0, cut - offset)), last: true },
      );
      seen.add(outcome);
      // No byte of it was wrong, so that the session is known to the server.
      if (cut > 61) expect(outcome).toBe("usable");
    });
    await inParallel(rounds);
    expect(seen).toContain("usable");
  }, 120_000);

  for (const [what, spoil] of [
    ["turned around", (byte: number) => byte ^ 0xff],
    ["with its highest bit turned around", (byte: number) => byte ^ 0x80],
    ["one larger", (byte: number) => (byte + 1) & 0xff],
  ] as const) {
    test(`when any one byte is ${what}`, async () => {
      const seen = new Set<string>();
      const rounds = Array.from({ length }, (_, at) => async () => {
        const outcome = await round((chunk, offset) => {
          const copy = Buffer.from(chunk);
          const byte = copy[at - offset];
          if (byte !== undefined) copy[at - offset] = spoil(byte);
          return { chunk: copy };
        });
        seen.add(outcome);
      });
      await inParallel(rounds);
      expect(seen).toContain("usable");
    }, 120_000);
  }

  test("when it sends any bytes at all", async () => {
    const rounds = Array.from({ length: 300 }, (_, n) => async () => {
      await round((chunk, offset) => {
        // The greeting, in two of three rounds, so that later answers are spoiled too.
        if (offset === 0 && n % 3 > 0) return { chunk };
        const noise = crypto.getRandomValues(Buffer.alloc(4 + Math.floor(Math.random() * 200)));
        if (n % 2 === 1) noise.writeInt32BE(noise.length - 4, 0);
        return { chunk: noise };
      });
    });
    await inParallel(rounds);
  }, 120_000);
});
