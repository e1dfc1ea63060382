import type { FencingToken } from "@dlock/core";
import { prefix } from "@dlock/core/combinators";
import type { Open } from "./aliases.js";
import { clientOf, Forwarding } from "./forwarding.js";

/** As a table that is found by the session's search path. */
export function inASpaceOfItsOwn(open: Open): Open {
  return async () => {
    const peer = await open();
    return { ...peer, provider: prefix(peer.provider, "other-role:") };
  };
}

/** As a connection pool, some of whose connections were left in another database by somebody else. */
export function nowAndThenElsewhere(open: Open): Open {
  return async () => {
    const peer = await open();
    const { provider } = peer;
    const elsewhere = prefix(provider, "other-database:");
    let claims = 0;
    return {
      ...peer,
      provider: { ...provider, claim: (request) => (++claims % 8 === 0 ? elsewhere : provider).claim(request) },
    };
  };
}

/** As a counter beside the locks that is named by the configuration, while they are not. */
export function countsByItself(open: Open): Open {
  const client = clientOf(
    class extends Forwarding {
      override async tryAcquire(deadline: number): Promise<FencingToken | undefined> {
        const token = await super.tryAcquire(deadline);
        return token === undefined ? undefined : token - 1_000n;
      }
    },
  );
  return async () => {
    const peer = await open();
    const [{ provider }, claims] = [peer, client()];
    return { ...peer, provider: { ...provider, claim: (request) => claims(request, (sent) => provider.claim(sent)) } };
  };
}

export function failsSomehow(): Open {
  return async () => {
    throw new Error("relation does not exist");
  };
}
