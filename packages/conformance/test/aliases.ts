import { LockConfigError } from "@dlock/core";
import { prefix } from "@dlock/core/combinators";
import type { Alias, Harness } from "@dlock/conformance";
import { modelHarness } from "./model-harness.js";

/** How a provider is opened. */
export type Open = Harness["open"];

/** The model, which lends one pair: itself, and itself as another configuration leads to it. */
export function aliased(title: string, other: (open: Open) => Open): () => Harness {
  return () => {
    const harness = modelHarness();
    return { ...harness, aliases: [{ title, open: [harness.open, other(harness.open)] }] };
  };
}

/** The same namespace, given at once and piece by piece. */
export function wholeAndInParts(open: Open): Alias {
  const opening =
    (...parts: readonly string[]): Open =>
    async () => {
      const peer = await open();
      return { ...peer, provider: parts.reduceRight((inner, part) => prefix(inner, part), peer.provider) };
    };
  return { title: "a namespace in one part and in two", open: [opening("app:one:"), opening("one:", "app:")] };
}

/** Whoever configured it is told. */
export const refused = (): Open => async () => {
  throw new LockConfigError("prefix", "app:", "a namespace");
};
