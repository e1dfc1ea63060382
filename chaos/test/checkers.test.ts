import { describe, expect, test } from "vitest";
import { endings } from "../src/checkers/endings.js";
import { fairness } from "../src/checkers/fairness.js";
import { ghosts } from "../src/checkers/ghosts.js";
import { needless } from "../src/checkers/needless.js";
import { overlap } from "../src/checkers/overlap.js";
import { recovery } from "../src/checkers/recovery.js";
import { stale, staleWrites } from "../src/checkers/stale.js";
import { told } from "../src/checkers/told.js";
import { tokens } from "../src/checkers/tokens.js";
import { checkers } from "../src/checkers.js";
import { fault, type Line, stay, story, trial } from "./story.js";

const first = { hold: "a1", token: 1, from: 100, until: 500 };
const second = { hold: "b1", token: 2, from: 300, until: 700 };

/** The beginning of an attempt by a1, as a line of a story. */
function asks(at: number, waitTimeout: number): Line {
  const terms = { key: "k", mode: "exclusive", limit: 1, alone: true, renews: true } as const;
  return [at, "a", { op: "acquire", phase: "invoke", hold: "a1", waitTimeout, ...terms }];
}

describe("an orderly history", () => {
  const orderly = [...stay({ ...first, gaveUp: 200 }), ...stay({ ...second, gaveUp: 400 })];
  test.each(checkers)("is fine for checker %#", (check) => expect(check(trial(orderly))).toEqual([]));
});

describe("overlap", () => {
  test("is two writers at the same time", () => {
    expect(overlap(trial([...stay(first), ...stay(second)]))).toMatchObject([
      { holds: ["b1", "a1"], announced: false },
    ]);
  });

  test("ends with the signal, the deadline, the beginning of the release and the end of the process", () => {
    const ended = [
      stay({ ...first, told: 250 }),
      stay({ ...first, until: 299 }),
      stay({ ...first, gaveUp: 299 }),
      [...stay(first), ...story([299, "a", { op: "end", how: "killed" }])],
    ];
    for (const before of ended) expect(overlap(trial([...before, ...stay(second)]))).toEqual([]);
  });

  test("is not readers among themselves, but a reader and a writer", () => {
    const reader = stay({ ...first, mode: "shared" });
    expect(overlap(trial([...reader, ...stay({ ...second, mode: "shared" })]))).toEqual([]);
    expect(overlap(trial([...reader, ...stay(second)]))).toHaveLength(1);
  });

  test("is one permit too many", () => {
    const permit = (hold: string, from: number) => stay({ hold, token: from, from, until: 900, limit: 3 });
    const three = [...permit("a1", 100), ...permit("b1", 101), ...permit("c1", 102)];
    expect(overlap(trial(three))).toEqual([]);
    expect(overlap(trial([...three, ...permit("d1", 103)]))).toHaveLength(1);
  });

  test("is announced where the backend may have forgotten the first hold, and only there", () => {
    const events = [...stay(first), ...stay(second)];
    const forgetting = ["flushall"];
    expect(overlap(trial([...events, ...fault("flushall", 250, 260)], { forgetting }))).toMatchObject([
      { announced: true },
    ]);
    expect(overlap(trial([...events, ...fault("flushall", 20, 30)], { forgetting }))).toMatchObject([
      { announced: false },
    ]);
    expect(overlap(trial([...events, ...fault("link-cut", 250, 260)], { forgetting }))).toMatchObject([
      { announced: false },
    ]);
  });
});

test("a lock that lived by a connection that was cut may pass on while the news travels, and no longer", () => {
  const judge = (toldAt: number, alive: "connection" | "lease", cut = "link-cut") => {
    const loser = { hold: "a1", token: 1, from: 100, until: 800, told: toldAt };
    const events = [...stay(loser), ...stay(second), ...fault(cut, 280, 290)];
    const guarantees = { order: "none", fencing: "always", alive } as const;
    const judged = trial(events, { guarantees, cutting: ["link-cut"] });
    return [...overlap(judged), ...told(judged)].map(({ announced }) => announced);
  };
  expect(judge(390, "connection")).toEqual([true, true]);
  expect(judge(410, "connection")).toEqual([false, false]);
  expect(judge(390, "lease")).toEqual([false, false]);
  expect(judge(390, "connection", "link-slow")).toEqual([false, false]);
});

describe("tokens", () => {
  test("do not grow", () => {
    for (const token of [1, 0])
      expect(tokens(trial([...stay({ ...first, gaveUp: 200 }), ...stay({ ...second, token })]))).toHaveLength(1);
  });

  test("of a hold that was forgotten before it looked are announced, unless it asked when the next one held", () => {
    const late = (asked: number) =>
      story(
        asks(asked, 9),
        [390, "a", { op: "acquire", phase: "ok", hold: "a1", key: "k", token: "1" }],
        [400, "a", { op: "claim", hold: "a1", key: "k", until: 500 }],
      );
    const judge = (asked: number, forgetting: readonly string[]) =>
      tokens(
        trial([...late(asked), ...stay({ ...second, gaveUp: 350 }), ...fault("flushall", 200, 210)], { forgetting }),
      );
    expect(judge(98, ["flushall"])).toMatchObject([{ announced: true }]);
    expect(judge(310, ["flushall"])).toMatchObject([{ announced: false }]);
    expect(judge(98, [])).toMatchObject([{ announced: false }]);
  });

  test("may come again when data were lost in between and the clock was moved, and only then", () => {
    const again = [...stay({ ...first, gaveUp: 200 }), ...stay({ ...second, token: 1 })];
    const judge = (events: ReturnType<typeof fault>) =>
      tokens(trial([...again, ...events], { losingTokens: ["wiped"], movingClock: ["clock"] })).map(
        (one) => one.announced,
      );
    const [wiped, moved] = [fault("wiped", 250, 260, 2), fault("clock", 20, 30)];
    expect(judge([...moved, ...wiped])).toEqual([true]);
    expect(judge(moved)).toEqual([false]);
    expect(judge(wiped)).toEqual([false]);
    expect(judge([...moved, ...fault("wiped", 40, 50, 2)])).toEqual([false]);
  });

  test("are not ordered among readers, but differ", () => {
    const reader = (hold: string, token: number) => stay({ ...first, hold, token, mode: "shared" });
    expect(tokens(trial([...reader("a1", 5), ...reader("b1", 4)]))).toEqual([]);
    expect(tokens(trial([...reader("a1", 5), ...reader("b1", 5)]))).toHaveLength(1);
  });

  test("of a writer exceed those of all readers before it, and readers exceed the last writer", () => {
    const reader = stay({ ...first, token: 9, mode: "shared", gaveUp: 200 });
    expect(tokens(trial([...reader, ...stay({ ...second, token: 8 })]))).toHaveLength(1);
    const writer = stay({ ...first, token: 9, gaveUp: 200 });
    expect(tokens(trial([...writer, ...stay({ ...second, token: 8, mode: "shared" })]))).toHaveLength(1);
  });
});

describe("stale writes", () => {
  const holds = [...stay({ ...first, until: 200 }), ...stay(second)];
  const take = (ts: number, hold: string, register: "fenced" | "unfenced") =>
    story([ts, "registers", { op: "take", register, hold, key: "k", token: "7" }]);

  test("are those of a former holder after a later one's, whatever their tokens", () => {
    const events = [...holds, ...take(310, "b1", "fenced"), ...take(320, "a1", "fenced")];
    expect(stale(trial(events))).toMatchObject([{ holds: ["b1", "a1"] }]);
  });

  test("are counted for each register by itself", () => {
    const events = [...holds, ...take(310, "b1", "unfenced"), ...take(320, "a1", "unfenced")];
    expect(stale(trial(events))).toEqual([]);
    expect(staleWrites(trial(events), "unfenced")).toHaveLength(1);
  });

  test("are not those before the later holder's first", () => {
    const events = [...holds, ...take(310, "a1", "fenced"), ...take(320, "b1", "fenced")];
    expect(stale(trial(events))).toEqual([]);
  });
});

describe("a loss", () => {
  const lost = (toldAt: number | undefined) => [
    ...stay({ ...first, until: 250, ...(toldAt === undefined ? {} : { told: toldAt }) }),
    ...stay(second),
  ];

  test("is told in time before the next grant", () => expect(told(trial(lost(299)))).toEqual([]));
  test("is told late after it", () => expect(told(trial(lost(320)))).toHaveLength(1));
  test("is never told", () => expect(told(trial(lost(undefined)))).toHaveLength(1));

  test("may be told right after a stall that covers the grant, and no later", () => {
    const stalled = story([400, "a", { op: "stall", from: 200 }]);
    expect(told(trial([...lost(402), ...stalled]))).toEqual([]);
    expect(told(trial([...lost(450), ...stalled]))).toHaveLength(1);
  });

  test("is not excused by the stall of another process, or by an earlier one", () => {
    expect(told(trial([...lost(402), ...story([400, "c", { op: "stall", from: 200 }])]))).toHaveLength(1);
    expect(told(trial([...lost(320), ...story([260, "a", { op: "stall", from: 200 }])]))).toHaveLength(1);
  });

  test("of a permit is told before there would be one too many", () => {
    const permit = (hold: string, token: number, until: number, told?: number) =>
      stay({ hold, token, from: token, until, limit: 2, ...(told === undefined ? {} : { told }) });
    const others = [...permit("b1", 101, 900), ...permit("c1", 300, 900)];
    expect(told(trial([...permit("a1", 100, 250, 299), ...others]))).toEqual([]);
    expect(told(trial([...permit("a1", 100, 250, 320), ...others]))).toMatchObject([{ holds: ["a1", "c1"] }]);
  });

  test("is nobody's when its process was killed", () => {
    expect(told(trial([...lost(undefined), ...story([280, "a", { op: "end", how: "killed" }])]))).toEqual([]);
  });
});

describe("a needless loss", () => {
  const lost = { hold: "a1", token: 1, from: 5_000, until: 5_300, told: 5_396 };
  const look = (asked: number, ts: number) => story([ts, "lookout", { op: "look", asked }]);
  const looked = look(5_200, 5_210);
  const judge = (events: ReturnType<typeof story>, terms: Parameters<typeof trial>[1] = {}) =>
    needless(trial(events, { sparingHolds: ["answers-slow"], ...terms }));

  test("is that of a hold that was renewed, and nothing happened", () => {
    expect(judge([...stay(lost), ...looked])).toMatchObject([{ holds: ["a1"], announced: false }]);
    expect(judge([...stay({ ...lost, renews: false }), ...looked])).toEqual([]);
  });

  test("is that of a hold that was lost before it could be used", () => {
    const terms = { key: "k", mode: "exclusive", limit: 1, alone: true, renews: true, waitTimeout: 0 } as const;
    const unused = story(
      [5_000, "a", { op: "acquire", phase: "invoke", hold: "a1", ...terms }],
      [5_394, "a", { op: "acquire", phase: "ok", hold: "a1", key: "k", token: "1" }],
      [5_396, "a", { op: "lost", by: "step", hold: "a1", key: "k" }],
    );
    expect(judge([...unused, ...looked])).toHaveLength(1);
  });

  test("is none near a fault, unless that one spares holds", () => {
    const events = [...stay(lost), ...looked];
    expect(judge([...events, ...fault("link-frozen", 5_100, 5_200)])).toEqual([]);
    expect(judge([...events, ...fault("link-frozen", 3_900, 4_000)])).toEqual([]);
    expect(judge([...events, ...fault("link-frozen", 3_800, 3_900)])).toHaveLength(1);
    expect(judge([...events, ...fault("answers-slow", 4_900, 5_500)])).toHaveLength(1);
    expect(judge([...events, ...fault("answers-slow", 4_900, 5_500), ...fault("x", 5_300, 5_310, 2)])).toEqual([]);
  });

  test("is none where its process, the links or the server stood still for more than a tenth of the ttl, or nobody knows", () => {
    const stall = (proc: string, ms: number) => story([5_300 + ms, proc, { op: "stall", from: 5_300 }]);
    const events = stay(lost);
    for (const proc of ["a", "nemesis"]) {
      expect(judge([...events, ...looked, ...stall(proc, 20)])).toHaveLength(1);
      expect(judge([...events, ...looked, ...stall(proc, 40)])).toEqual([]);
    }
    expect(judge([...events, ...looked, ...stall("b", 40)])).toHaveLength(1);
    expect(judge([...events, ...look(5_200, 5_241)])).toEqual([]);
    expect(judge(events)).toEqual([]);
    expect(judge([...events, ...look(4_500, 4_510)])).toEqual([]);
  });

  test("is not asked for where sessions and connections keep locks alive", () => {
    const guarantees = { order: "none", fencing: "always", alive: "session" } as const;
    expect(judge([...stay(lost), ...looked], { guarantees })).toEqual([]);
  });
});

describe("recovery", () => {
  const waits = story([
    90,
    "a",
    {
      op: "acquire",
      phase: "invoke",
      hold: "a0",
      key: "k",
      mode: "exclusive",
      limit: 1,
      waitTimeout: 10_000,
      alone: true,
      renews: true,
    },
  ]);

  test("takes too long", () => {
    const events = [...waits, ...fault("server-killed", 50, 100), ...stay({ ...second, from: 1_200, until: 1_300 })];
    expect(recovery(trial(events))).toMatchObject([{ at: 100 }]);
    expect(recovery(trial(events, { recovery: 2_000 }))).toEqual([]);
  });

  test("is asked for where the next fault leaves time for it", () => {
    const next = (begun: number) => fault("server-killed", begun, begun + 100, 2);
    const late = stay({ ...second, from: 9_000, until: 9_100 });
    const events = [...waits, ...fault("server-killed", 50, 100), ...late];
    expect(recovery(trial([...events, ...next(1_090)]))).toMatchObject([{ at: 1_190 }]);
    expect(recovery(trial([...events, ...next(1_110)]))).toMatchObject([{ at: 100 }, { at: 1_210 }]);
    const nothing = story(
      [500, "nemesis", { op: "fault", phase: "invoke", id: 2, fault: "holder-killed" }],
      [600, "nemesis", { op: "fault", phase: "fail", id: 2, fault: "holder-killed" }],
    );
    expect(recovery(trial([...events, ...nothing]))).toMatchObject([{ at: 100 }]);
  });

  test("takes too long when nobody gets it any more", () => {
    const givesUp = (at: number) =>
      story([at, "a", { op: "acquire", phase: "fail", hold: "a0", key: "k", why: "late" }]);
    const events = [...waits, ...fault("server-killed", 50, 100)];
    expect(recovery(trial([...events, ...givesUp(1_110)]))).toMatchObject([{ at: 100 }]);
    expect(recovery(trial([...events, ...givesUp(1_090)]))).toEqual([]);
  });
});

describe("fairness", () => {
  const waiter = story(
    asks(100, 10_000),
    [110, "a", { op: "wait", hold: "a1", key: "k" }],
    [900, "a", { op: "acquire", phase: "ok", hold: "a1", key: "k", token: "9" }],
  );
  const overtaking = [...waiter, ...stay({ ...second, gaveUp: 400 })];

  test("is broken by who came later and was first", () => expect(fairness(trial(overtaking))).toHaveLength(1));

  test("is not asked of a backend without order, nor near a fault", () => {
    const guarantees = { order: "none", fencing: "always", alive: "lease" } as const;
    expect(fairness(trial(overtaking, { guarantees }))).toEqual([]);
    expect(fairness(trial([...overtaking, ...fault("link-cut", 50, 60)]))).toEqual([]);
  });

  test("ends with the patience of who waits, however late that is noticed", () => {
    const leaver = (waitTimeout: number) =>
      story(
        asks(100, waitTimeout),
        [110, "a", { op: "wait", hold: "a1", key: "k" }],
        [900, "a", { op: "acquire", phase: "fail", hold: "a1", key: "k", why: "late" }],
      );
    const next = stay({ ...second, from: 320, gaveUp: 400 });
    expect(fairness(trial([...leaver(300), ...next]))).toHaveLength(1);
    expect(fairness(trial([...leaver(200), ...next]))).toEqual([]);
  });

  test("does not count who came before", () => {
    expect(fairness(trial([...waiter, ...stay({ ...second, from: 109, gaveUp: 400 })]))).toEqual([]);
  });
});

test("a ghost is seen to hold long after its process was killed, not within its ttl", () => {
  const seen = (asked: number) => story([asked, "lookout", { op: "seen", hold: "a1", key: "k", asked }]);
  const events = [...stay(first), ...story([300, "a", { op: "end", how: "killed" }])];
  expect(ghosts(trial([...events, ...seen(1_600)]))).toEqual([]);
  expect(ghosts(trial([...events, ...seen(1_800)]))).toHaveLength(1);
  expect(ghosts(trial([...stay({ ...first, gaveUp: 200 }), ...seen(1_800)]))).toEqual([]);
  // Its request may have put it in line without its knowledge, and then it is granted late, but holds no longer than others.
  expect(ghosts(trial([...events, ...seen(1_600), ...seen(2_100)]))).toEqual([]);
  expect(ghosts(trial([...events, ...seen(1_600), ...seen(2_300)]))).toHaveLength(1);
});

test("a ghost is none while its session does not age for want of a leader, and for as long as it takes from then on", () => {
  const seen = story([3_000, "lookout", { op: "seen", hold: "a1", key: "k", asked: 3_000 }]);
  const events = [...stay(first), ...story([300, "a", { op: "end", how: "killed" }]), ...seen];
  const judge = (healed: number) =>
    ghosts(trial([...events, ...fault("leader-killed", 1_000, healed)], { keepingSessions: ["leader-killed"] }));
  expect(judge(1_700)).toEqual([]);
  expect(judge(1_500)).toHaveLength(1);
});

test("a ghost of a process that lives is none while the backend does not answer it", () => {
  const seen = story([3_000, "lookout", { op: "seen", hold: "a1", key: "k", asked: 3_000 }]);
  const events = [
    ...stay(first),
    ...story([300, "a", { op: "release", phase: "info", hold: "a1", key: "k" }]),
    ...seen,
  ];
  expect(ghosts(trial(events))).toHaveLength(1);
  const trouble = (at: number, proc: string) => story([at, proc, { op: "trouble", what: "no answer" }]);
  expect(ghosts(trial([...events, ...trouble(1_800, "a")]))).toEqual([]);
  expect(ghosts(trial([...events, ...trouble(1_500, "a"), ...trouble(1_800, "b")]))).toHaveLength(1);
});

test("a ghost is none where a lock lives by a connection, and the last token is shown for whoever has it", () => {
  const events = [
    ...stay({ ...first, gaveUp: 200 }),
    ...story([210, "a", { op: "release", phase: "ok", hold: "a1", key: "k" }]),
    ...story([3_010, "lookout", { op: "seen", hold: "a1", key: "k", asked: 3_000 }]),
  ];
  const guarantees = { order: "none", fencing: "always" } as const;
  expect(ghosts(trial(events, { guarantees: { ...guarantees, alive: "connection" } }))).toEqual([]);
  expect(ghosts(trial(events, { guarantees: { ...guarantees, alive: "lease" } }))).toHaveLength(1);
});

test("a process that crashed, or did not end by itself, is a violation; one that was killed is none", () => {
  const events = story(
    [1, "a", { op: "end", how: "crashed", why: "1" }],
    [2, "b", { op: "end", how: "stuck" }],
    [2, "d", { op: "end", how: "heard", why: "1 listeners to a signal" }],
    [3, "c", { op: "end", how: "killed" }],
  );
  expect(endings(trial(events))).toHaveLength(3);
});
