import { describe, expect, test } from "vitest";
import { holdersIn, obstacleTo } from "../src/admission.js";
import { contendersIn, type Terms } from "../src/contenders.js";

/** A line by its first letters: readers, writers, permits of two or three. */
function lineOf(kinds: string) {
  const names: { [kind: string]: string } = { r: "__READ__", w: "lock-", 2: "limit-2-lock-", 3: "limit-3-lock-" };
  return contendersIn(Array.from(kinds, (kind, place) => `_c_x-${names[kind]}${String(place).padStart(10, "0")}`));
}
const reader: Terms = { mode: "shared", limit: 1 };
const writer: Terms = { mode: "exclusive", limit: 1 };
const permit: Terms = { mode: "exclusive", limit: 2 };

describe("who waits", () => {
  /** The place of what it waits for. */
  const waitsFor = (terms: Terms, before: string): number | "any" | undefined => {
    const obstacle = obstacleTo(terms, lineOf(before));
    return obstacle && (obstacle.node?.sequence ?? "any");
  };

  test("a reader, for the nearest writer before it", () => {
    expect(["", "rr", "w", "rwr", "wrwrr"].map((before) => waitsFor(reader, before))).toEqual([
      undefined,
      undefined,
      0,
      1,
      2,
    ]);
  });

  test("a writer, for the one before it", () => {
    expect(["", "r", "rwr"].map((before) => waitsFor(writer, before))).toEqual([undefined, 0, 2]);
  });

  test("for a permit: the first of them for any of those who hold, the others for the one before", () => {
    expect(["2", "22", "222", "2222"].map((before) => waitsFor(permit, before))).toEqual([undefined, "any", 2, 3]);
  });

  test("for those of another limit that came too late as well; whose limit is in use, is told", () => {
    expect(waitsFor(permit, "23")).toBe(1);
    expect(waitsFor(permit, "2322")).toBe(1);
    expect(obstacleTo(permit, lineOf("32"))?.limit).toBe(3);
    expect(obstacleTo(permit, lineOf("r"))?.limit).toBe(1);
    expect(obstacleTo(writer, lineOf("2"))?.limit).toBe(2);
    expect(obstacleTo(reader, lineOf("2"))?.limit).toBe(2);
  });
});

test("who holds: readers up to the first writer, the first writer alone, as many permits as there are", () => {
  const places = (line: string) => holdersIn(lineOf(line)).map(({ sequence }) => sequence);
  expect(["", "w", "wr", "rrwr", "222", "232", "322"].map(places)).toEqual([[], [0], [0], [0, 1], [0, 1], [0], [0]]);
});
