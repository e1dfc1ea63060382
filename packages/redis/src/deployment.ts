import { type ClaimRequest, monotonicNow } from "@dlock/core";
import { Channel } from "./channel.js";
import type { Source } from "./client.js";
import { Eviction } from "./eviction.js";
import type { LockKeys } from "./keys.js";
import { mark } from "./layout.js";
import { Link } from "./link.js";
import { checkNamespace, type Settings } from "./options.js";
import { ReplicatedLink } from "./replicated-link.js";
import { releaseScript } from "./scripts/release.js";
import { tryScript } from "./scripts/try.js";

export interface Acquisition {
  readonly answer: unknown;
  /** false: too few replicas have it. */
  readonly acknowledged: boolean;
}

/** One Redis, a Sentinel group or a cluster, as one process talks to it. */
export class Deployment {
  readonly link: Link;
  readonly channel: Channel;
  readonly settings: Settings;
  /** Starts every owner of this process; also the name of its channel, and the mark of the layout. */
  readonly process: string = `${mark}${crypto.randomUUID().replaceAll("-", "")}`;
  readonly #replicated: ReplicatedLink | undefined;
  readonly #told = new Set<string>();

  constructor(source: Source, settings: Settings) {
    this.settings = { ...settings, namespace: checkNamespace(source.keyPrefix + settings.namespace, "keyPrefix") };
    this.link = new Link(source);
    this.link.onConnected = new Eviction(this.link, settings.emit).look;
    this.channel = new Channel(this.process, this.link, settings.emit, (owner, keys) => this.#giveBack(owner, keys));
    this.link.onRefused = (message) => this.notice("REFUSED", message);
    if (settings.replicas > 0) this.#replicated = new ReplicatedLink(new Link(source), settings);
  }

  /** A name for a claim that nobody can guess, with its kind and its label in it: without the blanks, colons, bars and tildes that have a meaning elsewhere. */
  newOwner({ owner, mode, limit }: Pick<ClaimRequest, "owner" | "mode" | "limit">): string {
    const printable = encodeURIComponent(Buffer.from(owner).toString()).replaceAll("~", "%7E");
    const kind = mode === "shared" ? "s." : limit > 1 ? `p${limit}.` : "";
    return `${this.process}:${kind}${unguessable()}:${printable}`;
  }

  /** Runs `try`: where replicas are asked for, on a connection of its own, since WAIT blocks whatever comes behind it. */
  async acquire(keys: LockKeys, args: readonly (string | number)[], deadline: number): Promise<Acquisition> {
    if (this.#replicated) return this.#replicated.run(tryScript, keys, args, deadline);
    return { answer: await this.link.run(tryScript, keys, args, deadline), acknowledged: true };
  }

  /** Says a notice once. */
  notice(code: string, message: string, key?: string): void {
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.settings.emit({ code, message, key });
  }

  close(): void {
    this.channel.close();
    this.link.close();
    this.#replicated?.close();
  }

  /** A grant to a claim that is gone would hold everybody up until its claim window is over. */
  #giveBack(owner: string, keys: LockKeys): void {
    this.link.run(releaseScript, keys, [owner], monotonicNow() + 1_000).catch(() => {});
  }
}

/** 64 random bits, in base 36. */
function unguessable(): string {
  const [bits = 0n] = crypto.getRandomValues(new BigUint64Array(1));
  return bits.toString(36).padStart(13, "0");
}
