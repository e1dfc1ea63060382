import { checkFields, type LockProvider } from "@dlock/core";
import { openQuorum } from "./open-quorum.js";
import type { RedisOptions, RedisServer } from "./options.js";
import { parseQuorumUrl } from "./url.js";

export interface RedisQuorumOptions extends Pick<RedisOptions, "namespace" | "emit"> {
  /** ms that one call to one server may take; default three quarters of the ttl, a second at most. */
  readonly memberTimeout?: number | undefined;
}

/**
 * Locks that a majority of independent servers holds, by the Redlock algorithm: `redis+quorum://host1,host2,host3`.
 *
 * A server that may have forgotten its locks must stay away for the longest ttl before it is started again.
 */
export function redisQuorum(where: Pick<RedisServer, "url" | "tls">, options: RedisQuorumOptions = {}): LockProvider {
  checkFields("where", where, ["url", "tls"]);
  const { servers, query } = parseQuorumUrl(where);
  checkFields("url", query, []);
  return openQuorum(servers, options);
}
