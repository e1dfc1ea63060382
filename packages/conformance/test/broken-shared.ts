import { monotonicNow } from "@dlock/core";
import type { ClaimRequest, FencingToken } from "@dlock/core";
import { ModelStore, type ModelHold, type Party } from "./model-store.js";

/** Looks only at who waits. */
export class LetsReadersInBesideAWriter extends ModelStore {
  override isTurn(request: ClaimRequest): boolean {
    return (
      super.isTurn(request) || (request.mode === "shared" && this.fits(request, this.ahead(request.key, request.id)))
    );
  }
}

/** As a flag that there are readers, which is taken down by whoever leaves. */
export class EndsAllReadersAtOnce extends ModelStore {
  override owns(hold: ModelHold, request: ClaimRequest): boolean {
    return (
      super.owns(hold, request) || (hold.mode === "shared" && this.mine(request.key, request.id)?.mode === "shared")
    );
  }

  override release(request: ClaimRequest): void {
    const all = this.mine(request.key, request.id)?.mode === "shared";
    super.release(request);
    if (all) this.forceRelease(request.key);
  }
}

/** As a number of readers, which every release makes smaller. */
export class CountsReaders extends ModelStore {
  override release(request: ClaimRequest): void {
    const held = this.mine(request.key, request.id) !== undefined;
    const waited = this.waiting(request.key).some(({ id }) => id === request.id);
    super.release(request);
    const other = this.hold(request.key);
    if (held || waited || request.mode !== "shared" || other?.mode !== "shared") return;
    this.end(request.key, other.id);
    this.changed(request.key);
  }
}

/** As one key that expires, with all readers in it. */
export class ReadersShareOneExpiry extends ModelStore {
  readonly #which: (...ends: number[]) => number;

  constructor(which: "longest" | "latest") {
    super();
    this.#which = which === "longest" ? Math.max : (...ends) => ends.at(-1) ?? 0;
  }

  override tryAcquire(request: ClaimRequest, deadline: number): FencingToken | undefined {
    const token = super.tryAcquire(request, deadline);
    if (token !== undefined) this.#level(request);
    return token;
  }

  override renew(request: ClaimRequest, ttl: number): boolean {
    const renewed = super.renew(request, ttl);
    if (renewed) this.#level(request);
    return renewed;
  }

  #level({ key, id, mode }: ClaimRequest): void {
    if (mode !== "shared") return;
    const held = this.held(key);
    const end = this.#which(...held.map((hold) => hold.end), this.mine(key, id)?.end ?? 0);
    for (const hold of held) hold.end = end;
  }
}

export class RenewsAllReaders extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    const renewed = super.renew(request, ttl);
    if (renewed) for (const hold of this.held(request.key)) hold.end = Math.max(hold.end, monotonicNow() + ttl);
    return renewed;
  }
}

export class RenewsNoReader extends ModelStore {
  override renew(request: ClaimRequest, ttl: number): boolean {
    const mine = this.mine(request.key, request.id);
    const end = mine?.end;
    const renewed = super.renew(request, ttl);
    if (mine?.mode === "shared" && end !== undefined) mine.end = end;
    return renewed;
  }
}

export class EndsReadersEarly extends ModelStore {
  override lease(ttl: number, { mode }: ModelHold): number {
    return mode === "shared" ? ttl / 2 : ttl;
  }
}

/** As one who looks again only at the end of a writer's lease. */
export class WakesNobodyWhenReadersExpire extends ModelStore {
  override wakeIn(key: string, ms: number): void {
    if (this.hold(key)?.mode !== "shared") super.wakeIn(key, ms);
  }
}

/** As one who listens for the end of a writer. */
export class WakesNobodyAfterTheLastReader extends ModelStore {
  #quiet = false;

  override release(request: ClaimRequest): void {
    const [first, ...others] = this.held(request.key);
    this.#quiet = request.mode === "shared" && first?.id === request.id && others.length === 0;
    super.release(request);
    this.#quiet = false;
  }

  override changed(key: string): void {
    if (!this.#quiet) super.changed(key);
  }
}

/** As a counter that only writers move. */
export class CountsOnlyWriters extends ModelStore {
  readonly #last = new Map<string, FencingToken>();

  override nextToken(key: string, request: ClaimRequest): FencingToken {
    const last = this.#last.get(key);
    if (request.mode === "shared" && last !== undefined) return last;
    const token = super.nextToken(key, request);
    this.#last.set(key, token);
    return token;
  }
}

export class LetsReadersOvertake extends ModelStore {
  override mayTake(key: string, request: ClaimRequest): boolean {
    return request.mode === "shared" || super.mayTake(key, request);
  }
}

/** The next reader only when the one before it is in. */
export class CallsOneReaderAtATime extends ModelStore {
  override mayTake(key: string, request: ClaimRequest): boolean {
    return super.mayTake(key, request) && this.ahead(key, request.id).length === 0;
  }
}

/** The place of a writer that gave up is noticed to be empty only when its turn comes. */
export class KeepsThePlacesOfWriters extends ModelStore {
  override leave(key: string, id: string): void {
    const place = this.lines.get(key)?.find((one) => one.id === id);
    if (place?.mode === "exclusive" && this.hold(key)?.mode === "shared") return;
    super.leave(key, id);
  }
}

/** Those who died in line are passed over only when they were alone at its head. */
export class WaitsForDeadReaders extends ModelStore {
  override waiting(key: string): ReturnType<ModelStore["waiting"]> {
    const line = super.waiting(key);
    for (const place of line) if (place.mode === "shared") place.keptUntil &&= monotonicNow() + 60_000;
    return line;
  }
}

export class WakesNobodyAtADowngrade extends ModelStore {
  #quiet = false;

  override downgrade(request: ClaimRequest): boolean {
    this.#quiet = true;
    const done = super.downgrade(request);
    this.#quiet = false;
    return done;
  }

  override changed(key: string): void {
    if (!this.#quiet) super.changed(key);
  }
}

/** As one that gives the lock up and takes it as a reader, in a second step. */
export class DowngradesInTwoSteps extends ModelStore {
  override downgrade(request: ClaimRequest): boolean {
    const { key, id } = request;
    const mine = this.mine(key, id);
    if (mine === undefined) return false;
    if (mine.mode === "shared") return true;
    this.end(key, id);
    this.changed(key);
    setTimeout(() => {
      this.holds.set(key, [...this.held(key), { ...mine, mode: "shared" }]);
      this.changed(key);
    }, 3);
    return true;
  }
}

/** As one that takes the writer's flag down and forgets to write the reader down. */
export class ForgetsDowngraded extends ModelStore {
  readonly #downgraded = new Set<string>();

  override downgrade(request: ClaimRequest): boolean {
    this.#downgraded.add(request.id);
    return super.downgrade(request);
  }

  override fits(party: Party, others: readonly Party[]): boolean {
    return super.fits(
      party,
      others.filter(({ id }) => !this.#downgraded.has(id)),
    );
  }
}

export class DowngradesWhoeverHolds extends ModelStore {
  override downgrade(request: ClaimRequest): boolean {
    const hold = this.hold(request.key);
    return super.downgrade({ ...request, id: hold?.id ?? request.id });
  }
}

/** Readers are there, and the key of the writer is not. */
export class ForcesOneReaderOut extends ModelStore {
  override forceRelease(key: string): boolean {
    const first = this.hold(key);
    if (first) this.end(key, first.id);
    this.changed(key);
    return first !== undefined;
  }
}
