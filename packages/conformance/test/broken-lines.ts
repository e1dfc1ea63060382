import type { ClaimRequest } from "@dlock/core";
import { ModelStore, partyOf } from "./model-store.js";

export class JoinsEverybody extends ModelStore {
  override joins(): boolean {
    return true;
  }
}

export class WaitsForTheDead extends ModelStore {
  override patience(): number {
    return 100_000;
  }
}

export class ServesTheLastFirst extends ModelStore {
  override join(key: string, request: ClaimRequest): void {
    const line = this.lines.get(key) ?? [];
    if (!line.some((place) => place.id === request.id)) line.unshift(partyOf(request));
    this.lines.set(key, line);
  }
}

export class SendsAskersToTheEnd extends ModelStore {
  override join(key: string, request: ClaimRequest): void {
    this.leave(key, request.id);
    super.join(key, request);
  }
}

export class LetsNewcomersIn extends ModelStore {
  override mayTake(): boolean {
    return true;
  }
}

export class ForgetsToWakeAtExpiry extends ModelStore {
  override wakeIn(): void {}
}

/** And gives them their time when their turn comes. */
export class KeepsThePlacesOfThoseWhoLeft extends ModelStore {
  override release(request: ClaimRequest): void {
    if (this.mine(request.key, request.id)) super.release(request);
  }

  override patience(): number {
    return 600;
  }
}
