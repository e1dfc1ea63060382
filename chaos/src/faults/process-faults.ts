import { setTimeout as sleep } from "node:timers/promises";
import type { Blow } from "../brief.js";
import type { Member } from "../crew.js";
import type { Fault, Scene } from "../fault.js";
import { patience } from "../plan.js";

/** A worker strikes itself, in the middle of a section or while it waits. */
function blow(
  name: string,
  target: "holder" | "waiter",
  blowFor: (scene: Scene) => Blow,
  more: Partial<Fault> = {},
): Fault {
  return {
    name,
    ...more,
    async strike(scene) {
      const { crew, random } = scene;
      for (const gone of crew.members.filter((member) => member.isGone)) await crew.replace(gone);
      const member: Member = random.pick(crew.members);
      const chosen = blowFor(scene);
      if (!(await member.strike(target, chosen))) return undefined;
      return async () => {
        if (chosen.how === "stop") member.continue();
        if (chosen.how === "kill") await crew.replace(member);
      };
    },
  };
}

/** Killed while what it asked for is on its way: that arrives when nobody is there any more, and nobody will take it back. */
export const unheard: Fault = {
  name: "killed-unheard",
  async strike({ crew, ground, random, lasts }) {
    const member = random.pick(crew.members);
    const way = ground.ways[crew.members.indexOf(member)];
    way?.freeze("requests");
    await sleep(lasts / 2);
    member.kill();
    // Longer than its requests are worth anything, and what they could have taken.
    await sleep((patience + 2) * ground.ttl);
    return async () => {
      way?.heal();
      await crew.replace(member);
    };
  },
};

export const processFaults: readonly Fault[] = [
  blow("holder-paused", "holder", () => ({ how: "stop" }), { outlasts: true }),
  blow("holder-killed", "holder", () => ({ how: "kill" })),
  blow("holder-blocked", "holder", ({ lasts }) => ({ how: "block", ms: lasts }), { outlasts: true }),
  blow("waiter-paused", "waiter", () => ({ how: "stop" }), { outlasts: true }),
  blow("waiter-killed", "waiter", () => ({ how: "kill" })),
];
