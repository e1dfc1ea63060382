import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { Keys } from "./brief.js";
import { checkers } from "./checkers.js";
import { Crew, Member } from "./crew.js";
import type { DefectName } from "./defect.js";
import { now } from "./event.js";
import type { Least } from "./doubts.js";
import type { Fault } from "./fault.js";
import type { Ground } from "./ground.js";
import { History, readHistory } from "./history.js";
import { torment } from "./nemesis.js";
import { lookOut } from "./lookout.js";
import { guaranteesOf, leftovers, probe } from "./probe.js";
import { Random } from "./random.js";
import { Registers } from "./register.js";
import { watchStalls } from "./stalls.js";
import { type Trial, trialOf, type Violation } from "./trial.js";

export interface Terms {
  readonly ground: Ground;
  readonly faults: readonly Fault[];
  /** At most, where `least` says what is enough. */
  readonly seconds: number;
  readonly least?: Least | undefined;
  readonly seed: number;
  /** Where the histories go: one file per process. */
  readonly folder: string;
  readonly defect?: DefectName | undefined;
}

export interface Outcome {
  readonly trial: Trial;
  readonly violations: readonly Violation[];
}

const loops = 4;
type Trait = "forgets" | "losesTokens" | "movesClock" | "endsConnections" | "keepsSessions" | "sparesHolds";

/** Workers and a nemesis on one backend for so many seconds, and what the checkers say to it. */
export async function campaign(terms: Terms): Promise<Outcome> {
  const { ground, faults, folder, seed, defect } = terms;
  const random = new Random(seed);
  mkdirSync(folder, { recursive: true });
  const guarantees = await guaranteesOf(ground);
  const history = new History(folder, "nemesis");
  const record = history.record.bind(history);
  const registers = new Registers(record);
  const keys = keysFor(guarantees.modes);
  let hired = 0;
  const crew = await Crew.of(ground.entries.length, (place) => {
    const entry = ground.entries[place];
    if (!entry) throw new Error(`there is no worker ${place}`);
    const proc = `w${++hired}`;
    const brief = {
      proc,
      entry,
      folder,
      seed: random.fork(),
      keys,
      ttl: ground.ttl,
      pace: ground.pace ?? ground.ttl,
      loops,
      defect,
    };
    return Member.start(brief, registers, record);
  });
  const stopLooking = await lookOut(ground, keys, record);
  const stopWatching = watchStalls((from, ts) => record({ ts, proc: "nemesis", op: "stall", from }));
  let stuck = 0;
  try {
    const end = now() + terms.seconds * 1_000;
    const enough = (struck: number): boolean =>
      now() >= end ||
      (terms.least !== undefined && struck >= terms.least.faults && registers.sections >= terms.least.sections);
    if (faults.length > 0) await torment({ faults, ground, crew, random, record }, enough);
    else while (!enough(Number.POSITIVE_INFINITY)) await sleep(100);
    await ground.settle?.();
  } finally {
    stuck = await crew.leave();
    await stopLooking();
    stopWatching();
  }
  if (stuck > 0) record({ ts: now(), proc: "crew", op: "end", how: "stuck", why: `${stuck} workers` });
  const after = [...(await probe(ground, keys)), ...(await leftovers(ground))];
  history.close();
  const { ttl, recovery, deadWaiter } = ground;
  const having = (trait: Trait): readonly string[] => faults.filter((fault) => fault[trait]).map(({ name }) => name);
  const judgedBy = {
    guarantees,
    ttl,
    recovery,
    deadWaiter,
    forgetting: having("forgets"),
    losingTokens: having("losesTokens"),
    movingClock: having("movesClock"),
    cutting: having("endsConnections"),
    keepingSessions: having("keepsSessions"),
    sparingHolds: having("sparesHolds"),
  };
  const trial = trialOf(readHistory(folder), judgedBy);
  return { trial, violations: [...checkers.flatMap((check) => check(trial)), ...after] };
}

/** New ones each time: nothing of an earlier campaign counts for this one. */
function keysFor(modes: readonly string[]): Keys {
  const name = randomBytes(3).toString("hex");
  const some = (kind: string, count: number): string[] =>
    Array.from({ length: count }, (_, n) => `${name}-${kind}${n}`);
  return {
    exclusive: some("x", 6),
    shared: modes.includes("shared") ? some("s", 2) : [],
    limited: modes.includes("semaphore") ? some("l", 2) : [],
  };
}
