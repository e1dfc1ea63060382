import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.js";
import type { Way } from "../ground.js";

const delay = 60;

/** To the link of one worker or to all of them. */
function link(name: string, disturb: (way: Way) => void, more: Partial<Fault> = {}): Fault {
  return {
    name,
    ...more,
    async strike({ ground, random }) {
      const ways = random.chance(0.5) ? ground.ways : [random.pick(ground.ways)];
      for (const way of ways) disturb(way);
      return async () => {
        for (const way of ways) way.heal();
      };
    },
  };
}

/** Answers are late, and then nothing arrives any more: who counts from the answer believes too long in its last renewal. */
const lateThenFrozen: Fault = {
  name: "late-then-frozen",
  async strike({ ground, random }) {
    const spared = random.pick(ground.ways);
    // Somebody has to be there who is told.
    const ways = ground.ways.filter((way) => way !== spared);
    for (const way of ways) way.delay(ground.ttl / 6, "replies");
    await sleep(ground.ttl);
    for (const way of ways) way.freeze();
    return async () => {
      for (const way of ways) way.heal();
    };
  },
};

export const linkFaults: readonly Fault[] = [
  link("link-cut", (way) => way.cut()),
  link("link-frozen", (way) => way.freeze()),
  link("requests-frozen", (way) => way.freeze("requests")),
  link("replies-frozen", (way) => way.freeze("replies")),
  link("replies-dropped", (way) => way.dropReplies()),
  link("reply-truncated", (way) => way.truncate(), { brief: true }),
  lateThenFrozen,
  link("link-slow", (way) => way.delay(delay), { slows: delay }),
];
