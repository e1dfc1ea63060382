import { expect, test } from "vitest";
import type { Fault, Scene } from "../src/fault.js";
import { together, twoAtOnce } from "../src/faults/together.js";
import { Random } from "../src/random.js";

const scene = { random: new Random(1) } as Scene;

function noting(name: string, log: string[], heals?: unknown): Fault {
  return {
    name,
    async strike() {
      log.push(`${name} strikes`);
      return async () => {
        log.push(`${name} heals`);
        return heals;
      };
    },
  };
}

test("both are in effect until both are healed", async () => {
  const log: string[] = [];
  const both = together(noting("a", log), noting("b", log));
  const heal = await both.strike(scene);
  expect([both.name, heal?.what]).toEqual(["a+b", "a+b"]);
  expect(await heal?.()).not.toBe(false);
  expect(log).toEqual(["a strikes", "b strikes", "b heals", "a heals"]);
});

test("one that hits nothing makes a miss of both", async () => {
  const pairs: readonly (readonly [Fault, Fault])[] = [
    [noting("a", [], false), noting("b", [])],
    [noting("a", []), noting("b", [], false)],
    [noting("a", []), { ...noting("b", []), strike: async () => undefined }],
  ];
  for (const pair of pairs) expect(await (await together(...pair).strike(scene))?.()).toBe(false);
});

test("one that cannot be healed at once does not keep the other from it, which is healed once", async () => {
  const log: string[] = [];
  let failures = 0;
  const stubborn: Fault = {
    name: "b",
    strike: async () => async () => {
      if (failures++ === 0) throw new Error("not yet");
      log.push("b heals");
    },
  };
  const heal = await together(noting("a", log), stubborn).strike(scene);
  await expect(heal?.()).rejects.toThrow("not yet");
  await heal?.();
  expect(log).toEqual(["a strikes", "a heals", "b heals"]);
});

test("when the second fails the first does not stay", async () => {
  const log: string[] = [];
  const failing: Fault = { name: "b", strike: () => Promise.reject(new Error("no effect")) };
  await expect(together(noting("a", log), failing).strike(scene)).rejects.toThrow("no effect");
  expect(log).toEqual(["a strikes", "a heals"]);
});

test("of pairs, what is excused is no part", async () => {
  const log: string[] = [];
  const [pair] = twoAtOnce([noting("a", log)], [{ ...noting("b", log), forgets: true }, noting("c", log)]);
  for (let n = 0; n < 9; n++) await pair?.strike(scene);
  expect(new Set(log)).toEqual(new Set(["a strikes", "c strikes"]));
  expect(twoAtOnce([noting("a", log)], [{ ...noting("b", log), forgets: true }])).toEqual([]);
});
