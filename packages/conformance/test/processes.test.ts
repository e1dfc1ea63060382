import { describe, expect, test } from "vitest";
import { laws, spawnHolder } from "@dlock/conformance";
import type { ClaimRequest, LockProvider } from "@dlock/core";
import { NeverEndsAHold, NeverShortensALease, ReleasesForAnybody } from "./broken-holds.js";
import { WaitsForTheDead } from "./broken-lines.js";
import { modelHarness } from "./model-harness.js";
import { ModelClaim, ModelProvider } from "./model-provider.js";
import { ModelStore } from "./model-store.js";
import { serve } from "./socket-server.js";

/** Made for each connection, and closed with it. */
class EndsHoldsWithTheirConnection extends ModelProvider {
  readonly #requests: ClaimRequest[] = [];

  override claim(request: ClaimRequest): ModelClaim {
    this.#requests.push(request);
    return new ModelClaim(this.store, request);
  }

  async close(): Promise<void> {
    for (const request of this.#requests) this.store.release(request);
  }
}

const peer = new URL("./socket-peer.mjs", import.meta.url);

/** The laws about processes that are broken when holders in other processes use what `server` makes for each of them. */
async function brokenByProcesses(
  store: ModelStore,
  server: () => ModelStore | LockProvider = () => store,
  manner = "closes",
): Promise<readonly string[]> {
  const { path, close } = await serve(() => {
    const behind = server();
    return behind instanceof ModelStore ? new ModelProvider(behind) : behind;
  });
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
    expect(broken).toEqual([
      "processes/exclusion",
      "processes/killed-waiter",
      "processes/once-exit",
      "processes/once-in-task",
      "processes/once-killed",
      "processes/stopped-holder",
    ]);
  });

  test("that never ends a hold breaks the laws of killed and stopped holders", async () => {
    expect(await brokenByProcesses(new NeverEndsAHold())).toEqual([
      "processes/killed-holder",
      "processes/once-exit",
      "processes/once-in-task",
      "processes/once-killed",
      "processes/stopped-holder",
    ]);
  });

  test("that never skips a dead head of the line breaks the law of killed waiters", async () => {
    expect(await brokenByProcesses(new WaitsForTheDead())).toEqual(["processes/killed-waiter"]);
  });

  test("that leaves its socket open breaks the law of exit", async () => {
    const store = new ModelStore();
    const broken = await brokenByProcesses(store, () => store, "leaves open");
    expect(broken).toEqual(["processes/exit", "processes/once-exit"]);
  });

  test("that never shortens a lease breaks the laws about those who ran once", async () => {
    const broken = await brokenByProcesses(new NeverShortensALease());
    expect(broken).toEqual(["processes/once-exit", "processes/once-killed"]);
  });

  test("that ends holds with their connection breaks the laws about those who ran once, also of one killed in its task", async () => {
    const store = new ModelStore();
    const broken = await brokenByProcesses(store, () => new EndsHoldsWithTheirConnection(store));
    expect(broken).toEqual(["processes/once-exit", "processes/once-in-task", "processes/once-killed"]);
  });

  test("that releases without looking at the owner breaks the law of stopped holders", async () => {
    expect(await brokenByProcesses(new ReleasesForAnybody())).toEqual(["processes/stopped-holder"]);
  });
});
