import type { LockProvider } from "@dlock/core";
import type { Harness, LinkedPeer } from "@dlock/conformance";
import { modelHarness, type Model } from "./model-harness.js";

/** The model, with each peer's provider changed. */
export function withProvider(broken: (provider: LockProvider) => LockProvider, model: Model = {}): Harness {
  const harness = modelHarness(model);
  const open = async (): Promise<LinkedPeer> => {
    const peer = await harness.openLinked?.();
    if (!peer) throw new Error("the model lends links");
    return { ...peer, provider: broken(peer.provider) };
  };
  return { ...harness, open, openLinked: open };
}
