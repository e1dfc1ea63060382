import { setTimeout as sleep } from "node:timers/promises";
import type { Crew } from "./crew.js";
import { type Event, now } from "./event.js";
import type { Fault } from "./fault.js";
import type { Ground } from "./ground.js";
import type { Random } from "./random.js";

interface Powers {
  readonly faults: readonly Fault[];
  readonly ground: Ground;
  readonly crew: Crew;
  readonly random: Random;
  readonly record: (event: Event) => void;
}

/** After so many faults there is time enough to see that everything is well again. */
const calmAfter = 7;

/** Injects one fault after the other until so many that struck are enough, some shorter and some longer than a ttl. */
export async function torment(
  { faults, ground, crew, random, record }: Powers,
  enough: (struck: number) => boolean,
): Promise<void> {
  const { ttl, pace = ttl } = ground;
  let [struck, calm] = [0, calmAfter];
  for (let id = 1; !enough(struck); id++) {
    const rest = struck === calm ? ground.recovery : 0;
    if (rest > 0) calm += calmAfter;
    await sleep(random.between(0.3, 1.3) * pace + rest);
    const fault = random.pick(faults);
    const lasts = fault.brief ? 20 : random.between(0.3, 2.5) * (fault.outlasts ? ttl : pace);
    const say = (phase: "invoke" | "ok" | "fail" | "healed", more: { why?: string; missed?: boolean } = {}): void =>
      record({ ts: now(), proc: "nemesis", op: "fault", phase, id, fault: fault.name, ...more });
    say("invoke");
    try {
      const heal = await fault.strike({ random, crew, ground, lasts });
      if (!heal) say("fail");
      else {
        say("ok", heal.what === undefined ? {} : { why: heal.what });
        struck += 1;
        await sleep(lasts);
        const missed = (await persist(heal)) === false;
        say("healed", { missed });
      }
    } catch (error) {
      // The nemesis is no part of what is tested: its own trouble is said, and its fault counts for nothing.
      say("fail", { why: (error as Error).message });
      await ground.settle?.();
    }
  }
}

/** A server that is started again may find that somebody has taken its port for a moment. */
async function persist(heal: () => Promise<unknown>): Promise<unknown> {
  for (let failures = 0; ; failures++) {
    try {
      return await heal();
    } catch (error) {
      if (failures === 3) throw error;
      await sleep(1_000);
    }
  }
}
