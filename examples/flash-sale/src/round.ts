import type { Method } from "./messages.js";
import type { Result } from "./result.js";

/** One way to run the sale, and what is promised about it. */
export interface Round {
  readonly id: string;
  readonly title: string;
  readonly method: Method;
  /** Stop one seller in the middle of a sale for longer than its lock lives. */
  readonly pause: boolean;
  /** In how many parts the stock is. */
  readonly stripes: number;
  readonly promise: string;
  kept(result: Result): boolean;
}

export const rounds: readonly Round[] = [
  {
    id: "1",
    title: "no lock",
    method: "unlocked",
    pause: false,
    stripes: 1,
    promise: "the same units are sold again and again",
    kept: ({ oversold }) => oversold > 0,
  },
  {
    id: "2",
    title: "withLock",
    method: "locked",
    pause: false,
    stripes: 1,
    promise: "each unit is sold once",
    kept: (result) => exact(result) && result.lost.length === 0,
  },
  {
    id: "3a",
    title: "withLock + pause",
    method: "locked",
    pause: true,
    stripes: 1,
    promise: "a paused seller spoils the stock",
    kept: ({ oversold, late, lost }) => oversold > 0 && late?.outcome === "sold" && lost.length === 1,
  },
  {
    id: "3b",
    title: "token + pause",
    method: "fenced",
    pause: true,
    stripes: 1,
    promise: "the late write of a paused seller is refused",
    kept: (result) => exact(result) && result.late?.outcome === "refused" && result.lost.length === 1,
  },
];

/** Between the lock for all units and the pauses. */
export function stripedRound(stripes: number): Round {
  return {
    id: "2s",
    title: `${stripes} stripes`,
    method: "striped",
    pause: false,
    stripes,
    promise: "each unit is sold once, under whichever lock is free",
    kept: (result) => exact(result) && result.lost.length === 0,
  };
}

function exact({ units, sold, left }: Result): boolean {
  return sold === units && left === 0;
}
