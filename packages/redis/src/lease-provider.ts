import {
  type ClaimRequest,
  type Guarantees,
  type HolderStatus,
  type LeaseClaim,
  LockBackendError,
  type LockMode,
  type LockStatus,
  monotonicNow,
  requireModes,
} from "@dlock/core";
import type { Source } from "./client.js";
import { Deployment } from "./deployment.js";
import { failure } from "./failure.js";
import { keysOf } from "./keys.js";
import { mark } from "./layout.js";
import { type RedisOptions, settingsOf } from "./options.js";
import { RedisClaim } from "./redis-claim.js";
import type { RedisProvider } from "./redis-provider.js";
import { refusal } from "./refusal.js";
import { forceReleaseScript } from "./scripts/force-release.js";
import { inspectScript } from "./scripts/inspect.js";
import type { Script } from "./scripts/script.js";

/** ms, as long as core waits for a backend by default. */
const patience = 10_000;

export function openProvider(source: Source, options: RedisOptions): RedisProvider {
  const settings = settingsOf(options);
  const guarantees: Guarantees = {
    exclusion: "server",
    failover: "may-forget",
    fencing: "unless-data-and-clock-lost",
    alive: "lease",
    order: settings.order,
    waiting: settings.order === "fifo" ? "push" : "poll",
    modes: ["exclusive", "shared", "semaphore"],
  };
  return new LeaseProvider(new Deployment(source, settings), guarantees);
}

class LeaseProvider implements RedisProvider {
  readonly guarantees: Guarantees;
  readonly #deployment: Deployment;

  constructor(deployment: Deployment, guarantees: Guarantees) {
    this.#deployment = deployment;
    this.guarantees = guarantees;
  }

  claim(request: ClaimRequest): LeaseClaim {
    requireModes(this.guarantees, request);
    return new RedisClaim(this.#deployment, request, this.#deployment.newOwner(request));
  }

  async inspect(key: string): Promise<LockStatus> {
    const [value, pttl, members, fences, ends] = await this.#look(key);
    const waiters = members.map((member) => ({ owner: labelOf(member), mode: modeOf(member) }));
    const several = value.startsWith(`${mark}|`) ? /^\|([sp])/.exec(value.slice(mark.length)) : null;
    if (several === null) return { key, holders: value === "" ? [] : [holderOf(value, Number(pttl))], waiters };
    const mode = several[1] === "s" ? "shared" : "exclusive";
    return { key, holders: holdersOf(mode, entriesOf(fences), entriesOf(ends)), waiters };
  }

  async forceRelease(key: string): Promise<boolean> {
    const seen = holdsOf(await this.#look(key));
    if (seen === "foreign") throw this.#foreign(key);
    if (seen.length === 0) return false;
    return Number(await this.#run(forceReleaseScript, key, seen.flat())) > 0;
  }

  async connect(): Promise<void> {
    await this.#deployment.link.ready(monotonicNow() + patience);
  }

  async close(): Promise<void> {
    this.#deployment.close();
  }

  async #look(key: string): Promise<Inspection> {
    return (await this.#run(inspectScript, key)) as Inspection;
  }

  async #run(script: Script, key: string, args: readonly string[] = []): Promise<unknown> {
    const { link, settings } = this.#deployment;
    const keys = keysOf(settings.namespace + key);
    try {
      return await link.run(script, keys, args, monotonicNow() + patience);
    } catch (error) {
      throw refusal(error, keys, { key }) ?? failure(error, key);
    }
  }

  /** Its value stays unsaid: another library proves its hold by it. */
  #foreign(key: string): LockBackendError {
    const name = JSON.stringify(this.#deployment.settings.namespace + key);
    const message = `"${key}" is held by something else than this layout of dlock: the redis key ${name} has a value that forceRelease() does not delete`;
    return new LockBackendError(message, { key, noEffect: true });
  }
}

/** What `inspect` replies: lists of names and values in turn, as RESP2 has it. */
type Inspection = [value: string, pttl: number, members: string[], fences: readonly string[], ends: readonly string[]];

type Hold = readonly [owner: string, fence: string];

/** The holds that can be ended: an owner and its fence each. */
function holdsOf([value, , , fences, ends]: Inspection): readonly Hold[] | "foreign" {
  if (value === "") return [];
  if (!value.startsWith(mark)) return "foreign";
  const fenceOf = (text = "") => text.split("|")[0] ?? "";
  if (value.startsWith(`${mark}|`)) {
    const byOwner = entriesOf(fences);
    return [...entriesOf(ends).keys()].map((owner) => [owner, fenceOf(byOwner.get(owner))] as const);
  }
  const [owner = "", fence = ""] = value.split("|");
  return [[owner, fence]];
}

function entriesOf(flat: readonly string[]): ReadonlyMap<string, string> {
  return new Map(flat.flatMap((name, index) => (index % 2 === 0 ? [[name, flat[index + 1] ?? ""] as const] : [])));
}

function holdersOf(
  mode: LockMode,
  fences: ReadonlyMap<string, string>,
  ends: ReadonlyMap<string, string>,
): HolderStatus[] {
  return [...ends]
    .map(([owner, left]) => ({
      owner: labelOf(owner),
      mode,
      fencingToken: BigInt(fences.get(owner)?.split("|")[0] ?? 0),
      expiresIn: Number(left) / 1_000,
    }))
    .filter(({ expiresIn }) => expiresIn > 0);
}

function modeOf(owner: string): LockMode {
  return /^[^:]+:s\./.test(owner) ? "shared" : "exclusive";
}

function holderOf(value: string, pttl: number): HolderStatus {
  const [owner = "", fence = ""] = value.split("|");
  const ours = owner.startsWith("dlock") && /^\d+$/.test(fence);
  return {
    // The value of another library is the secret that its hold is proved by.
    owner: ours ? labelOf(owner) : "(another library)",
    mode: "exclusive",
    fencingToken: ours ? BigInt(fence) : 0n,
    expiresIn: pttl >= 0 ? pttl : undefined,
  };
}

/** The human part of `process:claim:label`. */
function labelOf(owner: string): string {
  const [, , label = ""] = owner.replace(/~$/, "").split(":");
  try {
    return decodeURIComponent(label);
  } catch {
    return label;
  }
}
