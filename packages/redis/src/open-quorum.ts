import { checkFields, type LockProvider } from "@dlock/core";
import { quorum } from "@dlock/core/combinators";
import { openProvider } from "./lease-provider.js";
import type { RedisQuorumOptions } from "./redis-quorum.js";
import type { NamedSource } from "./url.js";

export const quorumFields: readonly string[] = ["namespace", "memberTimeout"];

/** A file of its own: its types are those of the driver, which no declaration that users see may need. */
export function openQuorum(servers: readonly NamedSource[], options: RedisQuorumOptions): LockProvider {
  checkFields("options", options, [...quorumFields, "emit"]);
  const { memberTimeout, emit = () => {}, ...ofMember } = options;
  const providers = servers.map(({ name, source }) => {
    const emitNamed: typeof emit = ({ message, ...notice }) => emit({ ...notice, message: `${name}: ${message}` });
    // Nobody waits in a line at a member.
    return openProvider(source, { ...ofMember, order: "none", emit: emitNamed });
  });
  return {
    ...quorum(providers, { names: servers.map(({ name }) => name), memberTimeout }),
    close: async () => void (await Promise.all(providers.map((provider) => provider.close()))),
  };
}
