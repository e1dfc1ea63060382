import { monotonicNow, type ProviderContext, settleBy } from "@dlock/core";
import type { Redis } from "ioredis";
import { safe } from "./client.js";
import { isDenied } from "./failure.js";
import type { LockKeys } from "./keys.js";
import type { Link } from "./link.js";
import { Subscription } from "./subscription.js";
import type { Turn } from "./turn.js";

/** ms that a claim waits for the channel before it polls. */
const patience = 1_000;
/** Claims that gave up a place in line and may still be granted something, the latest ones. */
const remembered = 1_000;
/** Of a message: the largest delay, two blanks and a tilde. */
const frame = "2147483647".length + 3;

/**
 * Where this process is told that a lock was granted to one of its claims. Opened when the first of them has to wait; in
 * a cluster on every primary, since a script's PUBLISH counts only those who listen on its own server.
 *
 * Whoever may publish can say anything here. So a message is a hint about a claim of this process, and never an order: one that
 * waits asks again, one that gave up gives back what its own lock may have granted it. No name in a message gets to the server.
 */
export class Channel {
  readonly name: string;
  readonly #link: Link;
  readonly #emit: ProviderContext["emit"];
  readonly #giveBack: (owner: string, keys: LockKeys) => void;
  readonly #turns = new Map<string, Turn>();
  readonly #subscriptions = new Map<string, Subscription>();
  readonly #left = new Map<string, LockKeys>();
  /** Characters of the longest message that somebody may have a reason to send. */
  #longest = 0;
  #opening: Promise<void> | undefined;
  #settled = false;
  #denied = false;
  #warned = false;

  /** `giveBack` hears of grants to claims that gave up. */
  constructor(
    name: string,
    link: Link,
    emit: ProviderContext["emit"],
    giveBack: (owner: string, keys: LockKeys) => void,
  ) {
    this.name = name;
    this.#link = link;
    this.#emit = emit;
    this.#giveBack = giveBack;
  }

  /** Whether the channel was opened, or cannot be. */
  get settled(): boolean {
    return this.#settled;
  }

  /** Whether the user may not be told: claims of this process have to poll. */
  get denied(): boolean {
    return this.#denied;
  }

  /** Before a claim gets a place in line. */
  watch(owner: string, { names: [lock = ""] }: LockKeys, turn: Turn): void {
    this.#turns.set(owner, turn);
    this.#longest = Math.max(this.#longest, frame + owner.length + lock.length);
  }

  /**
   * The claim gave up. If it ever asked for a place in line, that can still be granted the lock: by a request that comes late,
   * or by a replica that takes over and does not know of the release.
   */
  leave(owner: string, keys: LockKeys): void {
    if (!this.#turns.delete(owner)) return;
    this.#left.set(owner, keys);
    const [oldest] = this.#left.keys();
    if (oldest !== undefined && this.#left.size > remembered) this.#left.delete(oldest);
  }

  /** Resolves when this process listens, or has tried to. Never rejects. */
  async open(): Promise<void> {
    this.#opening ??= this.#open();
    await this.#opening;
  }

  /** A claim lost its place without a word: the connection may be dead although it is open. */
  doubt(): void {
    for (const subscription of this.#subscriptions.values()) subscription.doubt();
  }

  close(): void {
    for (const subscription of this.#subscriptions.values()) subscription.close();
    this.#subscriptions.clear();
  }

  async #open(): Promise<void> {
    this.#link.onNodes = () => this.#follow();
    this.#follow();
    const firsts = Promise.all([...this.#subscriptions.values()].map(({ first }) => first));
    await settleBy(
      async () => void (await firsts),
      monotonicNow() + patience,
      () => new Error("late"),
      { background: false },
    ).catch(() => {});
    try {
      await this.#link.client.publish(this.name, "");
    } catch (error) {
      this.#denied = isDenied(error);
    }
    this.#settled = true;
    this.#denied ||= [...this.#subscriptions.values()].some(({ denied }) => denied);
    if (!this.#denied) return;
    this.#warn(
      `the user may not publish and subscribe to channels "${this.name.replace(/\..*/, ".*")}": waiting claims poll`,
    );
  }

  /** Once. */
  #warn(message: string): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#emit({ code: "NO_CHANNEL", message });
  }

  /** Listens on every primary there is now. */
  #follow(): void {
    if (this.#link.closed) return;
    const primaries = new Map(this.#link.primaries().map((node) => [nameOf(node), node]));
    for (const [name, node] of primaries) {
      const subscription = this.#subscriptions.get(name);
      if (subscription === undefined) this.#subscriptions.set(name, this.#subscribe(node));
      else subscription.doubt();
    }
    for (const [name, subscription] of this.#subscriptions) {
      if (primaries.has(name)) continue;
      this.#subscriptions.delete(name);
      subscription.close();
    }
  }

  #subscribe(node: Redis): Subscription {
    const { enableReadyCheck } = node.options;
    return new Subscription(node.duplicate({ ...safe, enableReadyCheck }), this.name, {
      heard: (message) => this.#hear(message),
      subscribed: () => this.#stirAll(),
      interrupted: () => this.#link.refresh(),
      refused: ({ message }) => this.#warn(`nobody can be told of a grant: waiting claims poll; ${message}`),
    });
  }

  /** `delay owner lock-key` */
  #hear(message: string): void {
    if (message.length > this.#longest) return;
    const [, delay = "", owner] = /^(\d{1,10}) (\S+?)~? /.exec(message) ?? [];
    if (owner === undefined) return;
    const turn = this.#turns.get(owner);
    if (turn === undefined) this.#answer(owner);
    else turn.hear(delay === "0" ? 0 : Number(delay) + 1);
  }

  /** Once: in a cluster every primary passes the message on. */
  #answer(owner: string): void {
    const keys = this.#left.get(owner);
    if (keys === undefined) return;
    this.#left.delete(owner);
    this.#giveBack(owner, keys);
  }

  /** In the order in which they came. */
  #stirAll(): void {
    for (const turn of this.#turns.values()) turn.now();
  }
}

function nameOf(node: Redis): string {
  return `${node.options.host}:${node.options.port}`;
}
