import { expect, test } from "vitest";
import { Keepers } from "../src/session/keepers.js";

test("many nodes with the longest names are asked about in requests that a server accepts", async () => {
  const lengths: number[] = [];
  const keepers = new Keepers(async (paths) => {
    lengths.push(paths.join("").length);
    return paths.map(() => 0);
  });
  const longest = `/${"%2F".repeat(1_024)}/_c_${crypto.randomUUID()}-lock-0000000000`;
  await Promise.all(Array.from({ length: 1_000 }, (_, n) => keepers.check(`/app${n}${longest}`)));
  expect(lengths.reduce((sum, length) => sum + length)).toBeGreaterThan(3_000_000);
  for (const length of lengths) expect(length).toBeLessThan(900_000);
});
