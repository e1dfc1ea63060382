import type { Crew } from "./crew.js";
import type { Ground } from "./ground.js";
import type { Random } from "./random.js";

/** Something bad that can be done to processes, links or servers. */
export interface Fault {
  readonly name: string;
  /** The backend may forget acknowledged holds by it, as its guarantees or its documentation say. */
  readonly forgets?: true;
  /** The last tokens are gone with it: they are counted by the clock from then on. */
  readonly losesTokens?: true;
  /** Together with that, what the clock has shown may come again. */
  readonly movesClock?: true;
  /** It ends connections, of which both ends hear at the same time: locks that live by them pass on while the news travels. */
  readonly endsConnections?: true;
  /** While it is in effect, and again when it is over, the sessions of the dead do not age: they end by a leader's clock. */
  readonly keepsSessions?: true;
  /** No hold that is renewed may be lost to it: whatever is asked is answered well within a ttl. */
  readonly sparesHolds?: true;
  /** What it does is over at once. */
  readonly brief?: true;
  /** It has to be longer than a hold at times to do its harm, however long that is. */
  readonly outlasts?: true;
  /** Resolves when it is in effect, with what ends it; undefined when there was nothing to strike. Rejects when it had no effect. */
  strike(scene: Scene): Promise<Heal | undefined>;
}

export interface Heal {
  /** Resolves with false when it turned out that nothing was hit. */
  (): Promise<unknown>;
  /** What exactly was done, where that is chosen by chance. */
  readonly what?: string;
}

export interface Scene {
  readonly random: Random;
  readonly crew: Crew;
  readonly ground: Ground;
  /** ms until it is healed */
  readonly lasts: number;
}
