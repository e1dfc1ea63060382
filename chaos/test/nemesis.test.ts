import { expect, test } from "vitest";
import type { Event } from "../src/event.js";
import type { Fault } from "../src/fault.js";
import type { Ground } from "../src/ground.js";
import type { Crew } from "../src/crew.js";
import { torment } from "../src/nemesis.js";
import { Random } from "../src/random.js";

// Longer than this machine may stand still.
const recovery = 500;

/** ms between the end of one fault that struck and the beginning of the next one. */
async function gaps(strike: Fault["strike"], faults: number): Promise<readonly number[]> {
  const events: Event[] = [];
  const ground = { ttl: 1, recovery } as Ground;
  const powers = { ground, crew: {} as Crew, random: new Random(1), record: (event: Event) => void events.push(event) };
  await torment({ ...powers, faults: [{ name: "a", brief: true, strike }] }, (struck) => struck >= faults);
  const said = events.flatMap((event) => (event.op === "fault" ? [event] : []));
  return said.flatMap(({ phase, ts }, at) =>
    phase === "healed" && said[at + 1] ? [(said[at + 1]?.ts ?? 0) - ts] : [],
  );
}

test("after every seventh fault there is time to recover", async () => {
  const found = await gaps(async () => async () => {}, 16);
  const calm = found.flatMap((gap, at) => (gap > recovery ? [at + 1] : []));
  expect(calm).toEqual([7, 14]);
});

test("faults that do not come about take none of it", async () => {
  let strikes = 0;
  const found = await gaps(async () => (++strikes % 2 === 0 ? async () => {} : undefined), 16);
  const calm = found.flatMap((gap, at) => (gap > recovery ? [at + 1] : []));
  expect(calm).toEqual([7, 14]);
});
