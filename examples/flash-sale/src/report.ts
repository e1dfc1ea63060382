import Table from "cli-table3";
import type { LateSale, Result } from "./result.js";
import type { Round } from "./round.js";

export interface Played {
  readonly round: Round;
  readonly result: Result;
}

/** What happened in a round, in sentences. */
export function story({ units, sold, oversold, left, lost, late }: Result): string {
  const lines = late === undefined ? [] : pauseStory(late);
  lines.push(...lost.map((message) => `LockLostError: ${message}.`));
  lines.push(`${sold} orders accepted for ${units} units, ${oversold} oversold; the stock says ${left} left.`);
  return lines.map((line) => `  ${line}`).join("\n");
}

function pauseStory({ seller, read, before, after, outcome, paused }: LateSale): string[] {
  const end = outcome === "sold" ? "its late write was accepted" : "its late write was refused";
  return [
    `${seller} read ${read} and was stopped for ${seconds(paused)}; the others sold on, down to ${before}.`,
    `Then ${seller} woke and ${end}: the stock went from ${before} to ${after}.`,
  ];
}

/** All rounds side by side. */
export function table(played: readonly Played[]): string {
  const rows = new Table({
    head: ["round", "orders", "oversold", "left", "late write", "lost", "time", "promise"],
    colAligns: ["left", "right", "right", "right", "left", "right", "right", "left"],
    style: { head: [], border: [], compact: true },
  });
  for (const { round, result } of played) {
    const { sold, oversold, left, late, lost, took } = result;
    const kept = round.kept(result) ? "kept" : "BROKEN";
    rows.push([
      `${round.id} ${round.title}`,
      sold,
      oversold,
      left,
      late?.outcome ?? "",
      lost.length,
      seconds(took),
      kept,
    ]);
  }
  return rows.toString();
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
