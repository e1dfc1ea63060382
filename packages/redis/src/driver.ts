import { pause } from "@dlock/core";
import type { Cluster, Redis } from "ioredis";

/** ms after which the driver destroys a connection that does not end. */
const longestGoodbye = 2_500;

/** `connect` of a cluster stays silent about some of its failures. */
export function connect(client: Redis | Cluster): Promise<void> {
  let ended = () => {};
  const opened = new Promise<void>((resolve, reject) => {
    ended = () => reject(new Error("the connection was closed"));
    client.once("end", ended);
    client.connect().then(resolve, reject);
  });
  return opened.finally(() => client.off("end", ended));
}

/** Ends a connection that is not fit for locks. The driver takes its time over one whose server is silent. */
export async function disconnect(client: Redis | Cluster): Promise<void> {
  // The driver tells of an end one step later: whoever connects again must not take it for its own.
  if (client.status === "end") return pause(0, { background: false });
  const ended = new AbortController();
  client.once("end", () => ended.abort());
  client.disconnect();
  await pause(longestGoodbye, { background: true, signal: ended.signal });
}
