import { describe, expect, test } from "vitest";
import { laws, spawnHolder } from "@dlock/conformance";
import { NeverEndsAHold, ReleasesForAnybody } from "./broken-holds.js";
import { WaitsForTheDead } from "./broken-lines.js";
import { modelHarness } from "./model-harness.js";
import { ModelProvider } from "./model-provider.js";
import { ModelStore } from "./model-store.js";
import { serve } from "./socket-server.js";

const peer = new URL("./socket-peer.mjs", import.meta.url);

/** The laws about processes that are broken when holders in other processes use what `server` makes for each of them. */
async function brokenByProcesses(
  store: ModelStore,
  server: () => ModelStore = () => store,
  manner = "closes",
): Promise<readonly string[]> {
  const { path, close } = await serve(() => new ModelProvider(server()));
  const harness = { ...modelHarness({ store }), spawn: () => spawnHolder(peer, path, manner) };
  const broken: string[] = [];
  const trials = laws(harness).filter(({ id }) => id.startsWith("processes/"));
  await Promise.all(trials.map(({ id, run }) => run().catch(() => broken.push(id))));
  await close();
  return broken.toSorted();
}

describe("across processes, a provider", () => {
  test("that is whole obeys every law", async () => {
    expect(await brokenByProcesses(new ModelStore())).toEqual([]);
  });

  test("that keeps a store for each process breaks the law of exclusion", async () => {
    const broken = await brokenByProcesses(new ModelStore(), () => new ModelStore());
    // Nor does anybody see others hold or wait.
    expect(broken).toEqual(["processes/exclusion", "processes/killed-waiter", "processes/stopped-holder"]);
  });

  test("that never ends a hold breaks the laws of killed and stopped holders", async () => {
    expect(await brokenByProcesses(new NeverEndsAHold())).toEqual([
      "processes/killed-holder",
      "processes/stopped-holder",
    ]);
  });

  test("that never skips a dead head of the line breaks the law of killed waiters", async () => {
    expect(await brokenByProcesses(new WaitsForTheDead())).toEqual(["processes/killed-waiter"]);
  });

  test("that leaves its socket open breaks the law of exit", async () => {
    const store = new ModelStore();
    expect(await brokenByProcesses(store, () => store, "leaves open")).toEqual(["processes/exit"]);
  });

  test("that releases without looking at the owner breaks the law of stopped holders", async () => {
    expect(await brokenByProcesses(new ReleasesForAnybody())).toEqual(["processes/stopped-holder"]);
  });
});
