import { checkFields, checkOneOf, LockConfigError, type ProviderContext } from "@dlock/core";
import type { Address } from "./url.js";

export interface ZooKeeperOptions {
  /** ms of silence after which the servers take this process for dead: its locks' ttl. They keep it within 2 to 20 of their ticks. Default 30 000. */
  readonly sessionTimeout?: number | undefined;
  /** ms: `tickTime` of the servers' configuration. Where it is known, a hold is certain for longer: see the README. */
  readonly tickTime?: number | undefined;
  /** `fifo` (default): who waits is served in order. `none`: whoever is first when it is free. */
  readonly order?: "fifo" | "none" | undefined;
  /** Which lock of Apache Curator exclusive ones are: `mutex` (default), or the writers of a `read-write` lock. */
  readonly curator?: "mutex" | "read-write" | undefined;
  /** Who may touch our nodes: `open` (default) everybody, `creator` whoever has the credentials in the URL. */
  readonly acl?: "open" | "creator" | undefined;
  /** Hears what the provider reports about itself. Must not throw. */
  readonly emit?: ProviderContext["emit"] | undefined;
}

export interface Settings {
  readonly sessionTimeout: number;
  readonly tickTime: number | undefined;
  readonly order: "fifo" | "none";
  readonly curator: "mutex" | "read-write";
  readonly acl: "open" | "creator";
  readonly emit: ProviderContext["emit"];
}

export const optionFields: readonly string[] = ["sessionTimeout", "tickTime", "order", "curator", "acl"];
const longest = 2 ** 31 - 1;

/** The options, checked and complete. */
export function settingsOf(options: ZooKeeperOptions, { auth }: Pick<Address, "auth">): Settings {
  checkFields("options", options, [...optionFields, "emit"]);
  const {
    sessionTimeout = 30_000,
    tickTime,
    order = "fifo",
    curator = "mutex",
    acl = "open",
    emit = () => {},
  } = options;
  checkTime("sessionTimeout", sessionTimeout);
  if (tickTime !== undefined) checkTime("tickTime", tickTime);
  checkOneOf("order", order, ["fifo", "none"] as const);
  checkOneOf("curator", curator, ["mutex", "read-write"] as const);
  checkOneOf("acl", acl, ["open", "creator"] as const);
  if (acl === "creator" && auth.length === 0)
    throw new LockConfigError("acl", acl, `"open", as the URL has no user:password@`);
  if (typeof emit !== "function") throw new LockConfigError("emit", emit, "a function");
  return { sessionTimeout, tickTime, order, curator, acl, emit };
}

function checkTime(field: string, value: unknown): void {
  if (Number.isInteger(value) && (value as number) > 0 && (value as number) <= longest) return;
  throw new LockConfigError(field, value, `a whole number of ms from 1 to ${longest}`);
}
