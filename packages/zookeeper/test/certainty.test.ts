import { describe, expect, test } from "vitest";
import { type Asked, Certainty } from "../src/session/certainty.js";

const timeout = 1_000;
/** Less what two clocks may drift apart. */
const end = (from: number): number => from + timeout - timeout / 100 - 2;

const at = (time: number): Asked => ({ at: time, sleptSince: false });

describe("a session is certain", () => {
  test("for a timeout from before it was asked for", () => {
    const certainty = new Certainty(undefined);
    expect(certainty.until).toBe(Number.NEGATIVE_INFINITY);
    certainty.renewed(at(100), timeout);
    expect(certainty.until).toBe(end(100));
  });

  test("no longer by answers alone: a server that is cut off from the leader gives them too", () => {
    const certainty = new Certainty(undefined);
    certainty.renewed(at(0), timeout);
    for (let now = 100; now < 3_000; now += 50) certainty.answered(at(now), now + 1, timeout);
    expect(certainty.until).toBe(end(0));
  });

  test("from what was answered a quarter of the timeout before something went through the leader", () => {
    const certainty = new Certainty(undefined);
    certainty.renewed(at(0), timeout);
    for (let now = 100; now <= 600; now += 100) certainty.answered(at(now), now + 10, timeout);
    certainty.confirmed(at(600), timeout);
    expect(certainty.until).toBe(end(300));
  });

  test("from a tick before it where the tick is known", () => {
    const certainty = new Certainty(100);
    for (let now = 100; now <= 600; now += 100) certainty.answered(at(now), now + 10, timeout);
    certainty.confirmed(at(600), timeout);
    expect(certainty.until).toBe(end(400));
  });

  test("no shorter by an older answer", () => {
    const certainty = new Certainty(undefined);
    certainty.answered(at(0), 10, timeout);
    certainty.renewed(at(500), timeout);
    certainty.confirmed(at(520), timeout);
    expect(certainty.until).toBe(end(500));
  });

  test("no more when the machine slept, until it was begun anew", () => {
    const certainty = new Certainty(undefined);
    let slept = false;
    const before = (time: number): Asked => ({
      at: time,
      get sleptSince() {
        return slept;
      },
    });
    certainty.renewed(before(500), timeout);
    certainty.answered(before(600), 610, timeout);
    slept = true;
    expect(certainty.until).toBe(Number.NEGATIVE_INFINITY);
    certainty.confirmed(at(900), timeout);
    expect(certainty.until).toBe(Number.NEGATIVE_INFINITY);
    certainty.renewed(at(400), timeout);
    expect(certainty.until).toBe(end(400));
  });
});
