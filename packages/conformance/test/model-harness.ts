import type { Claim, ClaimRequest, Guarantees } from "@dlock/core";
import type { Harness, LinkedPeer, Offer } from "@dlock/conformance";
import { ModelProvider, modelGuarantees } from "./model-provider.js";
import { ModelStore } from "./model-store.js";
import { Network } from "./network.js";

/** Makes the client half of a claim, in front of the wire, from what is behind it. */
export type Client = (request: ClaimRequest, remote: (request: ClaimRequest) => Claim) => Claim;

export interface Model {
  readonly store?: ModelStore | undefined;
  /** Called once for each peer. */
  readonly client?: (() => Client) | undefined;
  readonly guarantees?: Partial<Guarantees> | undefined;
  /** The optional members that the claims have, as the client makes them; all, without one. */
  readonly offers?: readonly Offer[] | undefined;
}

/** The model provider, with a wire between each peer and the store. */
export function modelHarness({ store = new ModelStore(), client, guarantees: other, offers }: Model = {}): Harness {
  const guarantees = { ...modelGuarantees, ...other };
  const server = new ModelProvider(store, guarantees);
  const network = new Network(
    () => server,
    (keepData) => store.restart(keepData),
  );
  const open = async (): Promise<LinkedPeer> => {
    const peer = await network.open();
    const toClient = client?.();
    if (!toClient) return peer;
    const { provider } = peer;
    return {
      ...peer,
      provider: { ...provider, claim: (request) => toClient(request, (sent) => provider.claim(sent)) },
    };
  };
  return {
    name: "model",
    guarantees,
    offers: ["inspect", "forceRelease", ...(offers ?? (client ? [] : (["raise", "downgrade"] as const)))],
    timing: { ttl: 300, slack: 250 },
    open,
    openLinked: open,
    server: network,
    residue: async () => store.residue(),
  };
}
