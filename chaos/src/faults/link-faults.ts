import { setTimeout as sleep } from "node:timers/promises";
import type { Fault } from "../fault.js";
import type { Ground, Way } from "../ground.js";

const delay = 60;

/** Resolves with whether anything was there that it could touch. */
function healed(ways: readonly Way[], before: number): boolean {
  for (const way of ways) way.heal();
  return touchedOf(ways) > before;
}

function touchedOf(ways: readonly Way[]): number {
  return ways.reduce((sum, way) => sum + way.touched, 0);
}

/** To the link of one worker or to all of them. */
function link(name: string, disturb: (way: Way) => void, more: Partial<Fault> = {}): Fault {
  return {
    name,
    ...more,
    async strike({ ground, random }) {
      const ways = random.chance(0.5) ? ground.ways : [random.pick(ground.ways)];
      const before = touchedOf(ways);
      for (const way of ways) disturb(way);
      return async () => healed(ways, before);
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
    const before = touchedOf(ways);
    for (const way of ways) way.freeze();
    return async () => healed(ways, before);
  },
};

/** Answers take more than a third of a ttl, and less than half of it: one renewal after the other is in time, though barely. */
const answersSlow = ({ queues }: Ground): Fault => ({
  name: "answers-slow",
  // A renewal that has to wait until somebody else is answered is late, and nobody can help it.
  ...(queues ? {} : { sparesHolds: true }),
  async strike({ ground, random }) {
    const ways = random.chance(0.5) ? ground.ways : [random.pick(ground.ways)];
    const before = touchedOf(ways);
    for (const way of ways) way.delay(random.between(0.35, 0.38) * ground.ttl, "replies");
    // Whoever is granted a lock now has to renew it more than once.
    await sleep(3 * ground.ttl);
    return async () => healed(ways, before);
  },
});

/** To the links of the workers. */
export const linkFaultsOn = (ground: Ground): readonly Fault[] => [
  link("link-cut", (way) => way.cut(), { endsConnections: true }),
  link("link-frozen", (way) => way.freeze()),
  link("requests-frozen", (way) => way.freeze("requests")),
  link("replies-frozen", (way) => way.freeze("replies")),
  link("replies-dropped", (way) => way.dropReplies()),
  link("reply-truncated", (way) => way.truncate(), { endsConnections: true }),
  lateThenFrozen,
  answersSlow(ground),
  link("link-slow", (way) => way.delay(delay)),
];
