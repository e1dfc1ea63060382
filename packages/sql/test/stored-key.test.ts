import { expect, test } from "vitest";
import { storedKey, storedKeyLength } from "../src/stored-key.js";

test("a key stands in a table as it is, unless it is long", () => {
  for (const key of ["a", "日本", "k".repeat(450), "😀".repeat(112)]) expect(storedKey(key)).toBe(key);
});

test("long keys are cut at a character and told apart by a hash, and none of them is like a key that is not cut", () => {
  const keys = [
    "k".repeat(451),
    "k".repeat(452),
    `${"k".repeat(450)}l`,
    "é".repeat(226),
    "é".repeat(227),
    "日".repeat(151),
    "😀".repeat(113),
  ];
  for (const key of keys) {
    expect(Buffer.byteLength(storedKey(key))).toBe(storedKeyLength);
    expect(storedKey(key)).not.toMatch(/\p{Surrogate}/u);
    // Whoever has that for a key is stored in yet another way.
    expect(storedKey(storedKey(key))).not.toBe(storedKey(key));
  }
  expect(new Set(keys.map(storedKey)).size).toBe(keys.length);
});

test("how a long key is stored is the same in every release", () => {
  expect(storedKey("é".repeat(512))).toBe(
    `${"é".repeat(225)}~eb1dac068118a962d32331d185228c80c259c95630cefe7abae82a089d9ee68e`,
  );
});
