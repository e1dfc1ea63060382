import { asLockError, LockBackendError } from "../errors.js";
import type { FencingToken } from "../provider.js";
import type { Part } from "./part.js";

/** One member's place in a claim to a quorum: the part it has now, and what is left of earlier ones. */
export class Seat {
  readonly name: string;
  readonly #makePart: () => Part;
  readonly #key: string;
  /** Earlier parts, until the member confirmed that they are gone. */
  readonly #ghosts = new Set<Promise<unknown>>();
  #part: Part;
  #closed = false;

  constructor(name: string, key: string, makePart: () => Part) {
    this.name = name;
    this.#key = key;
    this.#makePart = makePart;
    this.#part = makePart();
  }

  get part(): Part {
    return this.#part;
  }

  get held(): boolean {
    return this.#part.token !== undefined;
  }

  /** Whether it has neither a part nor anything left of one. */
  get empty(): boolean {
    return !this.#part.used && this.#ghosts.size === 0;
  }

  /** Whether the member grants it. */
  async ask(limit: number): Promise<boolean> {
    const granted = (await this.#part.take(limit)) !== undefined;
    if (granted || this.#ghosts.size === 0) return granted;
    // What refuses may be what we have left there.
    const message = `has not confirmed yet that an earlier claim to "${this.#key}" is gone`;
    throw new LockBackendError(message, { key: this.#key, retryable: true });
  }

  /** Whether the member confirms the token it gave. One that grants it anew may have been somebody else's meanwhile. */
  prove(limit: number, tend: boolean): Promise<boolean> {
    const part = this.#part;
    const before = part.token;
    return this.#orVacate(part, async () => (await part.take(limit, { tend })) === before);
  }

  renew(ttl: number): Promise<boolean> {
    const part = this.#part;
    return this.#orVacate(part, () => part.renew(ttl));
  }

  raise(floor: FencingToken): Promise<boolean> {
    const part = this.#part;
    return this.#orVacate(part, () => part.raise(floor));
  }

  /** Asks for a part in a hold that a majority has already. Never rejects. */
  async fill(token: FencingToken, limit: number, tend: boolean): Promise<void> {
    const part = this.#part;
    const joined = async () => (await part.take(limit, { tend })) !== undefined && (await part.raise(token));
    await this.#orVacate(part, joined).catch(() => this.vacate(part));
  }

  /** Gives the part up, in favour of a new one. */
  vacate(part: Part = this.#part): void {
    if (this.#closed || this.#part !== part || !part.used) return;
    const leaving: Promise<unknown> = part.giveUp().then((failure) => {
      this.#ghosts.delete(leaving);
      return failure;
    });
    this.#ghosts.add(leaving);
    this.#part = this.#makePart();
  }

  /** When the member has confirmed that earlier parts are gone. */
  left(): readonly Promise<unknown>[] {
    return [...this.#ghosts];
  }

  /** Gives everything up, for good. Rejects with what prevents it; it is tried on in the background. */
  async close(): Promise<void> {
    this.#closed = true;
    const failures = await Promise.all([this.#part.giveUp(), ...this.#ghosts]);
    const failure = failures.find((reason) => reason !== undefined);
    if (failure !== undefined) throw asLockError(failure, this.#key);
  }

  async #orVacate(part: Part, ask: () => Promise<boolean>): Promise<boolean> {
    const granted = await ask();
    if (!granted) this.vacate(part);
    // A later answer may have said that it is gone, before this one came.
    return granted && this.#part === part;
  }
}
