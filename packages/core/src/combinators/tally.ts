import { Alarm } from "../alarm.js";
import { monotonicNow } from "../clock.js";

/** How the members of a quorum voted. */
export interface Tally {
  readonly yes: number;
  readonly no: number;
  /** Those who gave no answer, or none yet, by their place among those who were asked. */
  readonly failed: ReadonlyMap<number, unknown>;
}

/** ms; a turn of a busy event loop. */
const grace = 5;

/**
 * Counts votes until everybody has voted or it is settled whether `needed` of them say yes. Those who are hardly slower
 * are waited for: as long again as it took so far. Whoever is silent holds nobody up.
 */
export function tally(votes: readonly Promise<boolean>[], needed: number): Promise<Tally> {
  return new Promise((resolve) => {
    const since = monotonicNow();
    const counts = { yes: 0, no: 0 };
    const failed = new Map<number, unknown>(votes.map((_, place) => [place, new Error("no answer yet")]));
    let open = votes.length;
    let settled = false;
    const last = new Alarm(() => resolve({ ...counts, failed: new Map(failed) }), { background: false });
    const look = (): void => {
      if (open === 0) last.set(0);
      else if (!settled && (counts.yes >= needed || counts.no > votes.length - needed)) {
        settled = true;
        last.set(monotonicNow() * 2 - since + grace);
      }
    };
    for (const [place, vote] of votes.entries()) {
      const voted = (): void => {
        open--;
        look();
      };
      vote.then(
        (yes) => {
          failed.delete(place);
          counts[yes ? "yes" : "no"]++;
          voted();
        },
        (error: unknown) => {
          failed.set(place, error);
          voted();
        },
      );
    }
    look();
  });
}
