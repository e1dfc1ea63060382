import { inspect } from "node:util";
import { createLocks, LockConfigError } from "@dlock/core";
import { createProvider, zookeeperProvider } from "@dlock/zookeeper";
import { describe, expect, test } from "vitest";

/** An @ in one is told from that before a host only where it is percent-encoded. */
const secrets = ["hunter2", "pa@hunter2", "pa/hunter2", "pa?hunter2", "pa&hunter2", "pa:hunter2", "12345:hunter2"];

function everyView(error: unknown): string {
  const all = inspect(error, { depth: 10, showHidden: true, maxStringLength: null });
  return [all, JSON.stringify(error), String(error)].join("\n");
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
  test.each(
    ["zookeeper", "zk"].flatMap((scheme) => [
      `${scheme}://me:${secret}`,
      `${scheme}://:${secret}/app`,
      `${scheme}://me:${secret}@h/zookeeper`,
      `${scheme}://me:${secret}@h:0/app`,
      `${scheme}://me:${secret}%zz@h`,
      `${scheme}:me:${secret}@h`,
      `${scheme}:${secret}`,
      `${scheme}://h/app?auth=${secret}`,
      `${scheme}://h/app?password=${secret}`,
      `${scheme}://h/app#${secret}`,
    ]),
  )("in %s", async (url) => {
    const encoded = url.replaceAll(secret, encodeURIComponent(secret));
    for (const written of secret.includes("@") ? [encoded] : [url, encoded]) {
      for (const open of [
        () => createProvider({ url: written }, { emit: () => {} }),
        () => createProvider({ url: written, password: secret }, { emit: () => {} }),
        () => zookeeperProvider({ url: written } as never, { sessionTimeout: 0 }),
      ]) {
        const error = await failureOf(open);
        expect(error).toBeInstanceOf(LockConfigError);
        expect(everyView(error)).not.toContain("hunter2");
        expect(decodeURIComponent(String((error as LockConfigError).value))).not.toContain("hunter2");
      }
    }
  });
});

test("nobody who answers is told of without the credentials that were meant for it", async () => {
  const events: unknown[] = [];
  const hear = (event: unknown) => void events.push(event);
  const url = "zookeeper://me:hunter2@127.0.0.1:9/app";
  const locks = await createLocks(url, { backendTimeout: 500, on: { warning: hear, backendFailed: hear } });
  const error = await failureOf(() => locks.acquire("key"));
  expect(error).toMatchObject({ code: "LOCK_BACKEND" });
  expect(everyView([error, events, locks])).not.toContain("hunter2");
  await locks.close();
});
