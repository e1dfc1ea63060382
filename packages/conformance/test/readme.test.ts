import { readFile } from "node:fs/promises";
import { laws, type Harness } from "@dlock/conformance";
import { expect, test } from "vitest";
import { modelHarness } from "./model-harness.js";
import { family } from "./model-provider.js";

const { guarantees } = modelHarness({ guarantees: family });
const bare: Harness = {
  name: "bare",
  guarantees: { ...guarantees, failover: "keeps" },
  open: () => Promise.reject(new Error("nobody opens this")),
};

/** By which entries of the guarantees, and for want of what, a law is skipped. */
function skips(id: string): readonly string[] {
  const others: readonly Partial<Harness["guarantees"]>[] = [
    {},
    { failover: "none" },
    { alive: "lease" },
    { alive: "session" },
    { order: "none" },
    { waiting: "poll" },
    { modes: ["exclusive"] },
    { modes: ["exclusive", "shared"] },
    { modes: ["exclusive", "semaphore"] },
  ];
  const reasons = others.flatMap((other) => {
    const harness = { ...bare, guarantees: { ...bare.guarantees, ...other } };
    const { skip } = laws(harness).find((law) => law.id === id) ?? {};
    if (skip === undefined) return [];
    return other.alive === "session" && skip.startsWith("harness") ? [`${skip}, unless alive: lease`] : [skip];
  });
  const always = reasons.filter((reason) => !reason.endsWith("unless alive: lease"));
  return [...new Set(always.some((reason) => reason.startsWith("harness")) ? always : reasons)];
}

test("the README lists every law, and when it is skipped", async () => {
  const rows = laws(bare).map(({ id, title }) => `| \`${id}\` | ${title} | ${skips(id).join("; ")} |`);
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  const listed = readme.split("\n").filter((line) => line.startsWith("| `") && line.includes("/"));
  expect(listed.map(normal)).toEqual(rows.toSorted().map(normal));
});

/** Formatters pad tables. */
function normal(row: string): string {
  return row.replaceAll(/ +/g, " ").trim();
}

test("no entry of the guarantees excuses from the laws of exclusion, leases, ownership, tokens, loss and renewal", () => {
  const binding = laws(bare).filter(({ id }) => /^(exclusion|leases|ownership|tokens|loss|renewal)\//.test(id));
  expect(binding.length).toBeGreaterThan(30);
  expect(binding.flatMap(({ id }) => skips(id)).filter((reason) => reason.startsWith("guarantees"))).toEqual([]);
});
