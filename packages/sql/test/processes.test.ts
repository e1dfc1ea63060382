import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { statSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { directory, foreign } from "./store.js";

interface Span {
  readonly token: string;
  readonly from: string;
  readonly to: string;
}

function start(...args: readonly string[]): ChildProcess {
  const child = fork(new URL("child/contender.mjs", import.meta.url), args, { execArgv: [] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return child;
}

async function message<Value>(child: ChildProcess): Promise<Value> {
  const [value] = (await once(child, "message")) as [Value];
  return value;
}

test(
  "six processes that start on no file at all create one table, never overlap, and see tokens grow",
  { timeout: 60_000 },
  async () => {
    const file = join(directory(), "locks.db");
    const children = Array.from({ length: 6 }, () => start(file, "100"));
    await Promise.all(children.map((child) => message(child)));
    const finished = Promise.all(children.map((child) => message<Span[]>(child)));
    const exits = Promise.all(children.map((child) => once(child, "exit")));
    for (const child of children) child.send("go");
    const spans = (await finished)
      .flat()
      .map(({ token, from, to }) => ({ token: BigInt(token), from: BigInt(from), to: BigInt(to) }));
    spans.sort((one, other) => (one.from < other.from ? -1 : 1));
    expect(spans).toHaveLength(600);
    for (const [index, span] of spans.entries()) {
      const before = spans[index - 1];
      if (before === undefined) continue;
      expect(span.from).toBeGreaterThan(before.to);
      expect(span.token).toBeGreaterThan(before.token);
    }
    // Nothing keeps a process that has closed its locks.
    for (const [code] of await exits) expect(code).toBe(0);
    expect(foreign(file).prepare("SELECT claim, expires FROM dlock_leases WHERE key = 'key'").all()).toEqual([
      { claim: "", expires: 0 },
    ]);
  },
);

test("the database is in WAL mode, for everybody and for good", () => {
  const file = join(directory(), "locks.db");
  const child = start(file, "1");
  return message(child).then(async () => {
    child.send("go");
    await message(child);
    await once(child, "exit");
    expect(foreign(file).prepare("PRAGMA journal_mode").all()).toEqual([{ journal_mode: "wal" }]);
    expect(statSync(file).size).toBeGreaterThan(0);
  });
});
