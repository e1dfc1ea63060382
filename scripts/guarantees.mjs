// Writes what each backend guarantees, read from the providers themselves, into the README's table and into core, for
// `recommend`. `--check` writes nothing and fails when either is stale. No provider connects.
import { readFile, writeFile } from "node:fs/promises";
import { createLocks } from "@dlock/core";
import { format } from "oxfmt";

const known = [
  { name: "memory", url: "memory:", shown: "`memory:`" },
  { name: "redis", url: "redis://localhost", shown: "`redis://`, `rediss://`" },
  { name: "redis+sentinel", url: "redis+sentinel://localhost/main", shown: "`redis+sentinel://`" },
  { name: "redis+cluster", url: "redis+cluster://localhost", shown: "`redis+cluster://`" },
  { name: "redis+quorum", url: "redis+quorum://a,b,c", shown: "`redis+quorum://`" },
  { name: "zookeeper", url: "zookeeper://localhost", shown: "`zookeeper://`" },
  ...sql("postgres", "advisory"),
  ...sql("postgres", "for-update"),
  ...sql("postgres", "version"),
  ...sql("mysql", "advisory"),
  ...sql("mysql", "for-update"),
  ...sql("mysql", "version"),
  { name: "sqlite", url: "sqlite:./locks.db", shown: "`sqlite:`" },
];

function sql(database, strategy) {
  const scheme = database === "mysql" ? "mysql://`, `mariadb" : database;
  const url = `${database}://localhost/db?strategy=${strategy}`;
  return [{ name: `${database} ${strategy}`, url, shown: `\`${scheme}://\` \`${strategy}\`` }];
}

const rows = await Promise.all(
  known.map(async ({ name, url, shown }) => {
    const locks = await createLocks(url);
    await locks.close();
    return { name, shown, guarantees: locks.guarantees };
  }),
);

const columns = Object.keys(rows[0].guarantees);
const table = [
  ["backend", ...columns],
  ["---", ...columns.map(() => "---")],
  ...rows.map(({ shown, guarantees }) => [shown, ...columns.map((column) => [guarantees[column]].flat().join(", "))]),
].map((cells) => `| ${cells.join(" | ")} |`);

const data = `// Written by scripts/guarantees.mjs from the providers themselves: "npm run generate".
import type { Guarantees } from "./guarantees.js";

/** What every backend that dlock knows guarantees, the fastest first. */
export const knownBackends: readonly { readonly name: string; readonly guarantees: Guarantees }[] = ${JSON.stringify(
  rows.map(({ name, guarantees }) => ({ name, guarantees })),
)};
`;

const check = process.argv.includes("--check");
await update("packages/core/src/known-backends.ts", () => data);
await update("README.md", (text) =>
  text.replace(/(<!-- guarantees: begin[^]*?-->\n)[^]*?(<!-- guarantees: end -->)/, `$1\n${table.join("\n")}\n\n$2`),
);

async function update(file, change) {
  const before = await readFile(file, "utf8").catch(() => "");
  const { code } = await format(file, change(before), { printWidth: 120 });
  if (code === before) return;
  if (check) {
    console.error(`${file} is not what the providers say: run npm run generate`);
    process.exitCode = 1;
  } else await writeFile(file, code);
}
