import { laws, type Harness, type Trial } from "@dlock/conformance";

export interface Surprises {
  /** Failures of laws that should have been obeyed. */
  readonly broken: Readonly<Record<string, unknown>>;
  /** Laws that should have been broken. */
  readonly obeyed: readonly string[];
}

/** Keeps the event loop from turning: not for company. */
const stalling = "loss/stalled-loop";

// So many that most of the time is spent waiting, so few that nobody is late because of the others.
const atOnce = 24;
const few = 4;

/** Tries all laws, as concurrently as they allow. What comes as a surprise is tried again: a busy machine may break or hide anything once. */
export async function judge(
  harness: Harness,
  expected: readonly string[],
  undecided: readonly string[],
): Promise<Surprises> {
  let trials = laws(harness).filter(({ id, skip }) => skip === undefined && id !== stalling && !undecided.includes(id));
  for (let attempt = 0; ; attempt++) {
    const errors = await failures(trials, attempt === 0 ? atOnce : few);
    trials = trials.filter(({ id }) => errors.has(id) !== expected.includes(id));
    if (trials.length > 0 && attempt < 3) continue;
    const [broken, obeyed] = [trials.filter(({ id }) => errors.has(id)), trials.filter(({ id }) => !errors.has(id))];
    return {
      broken: Object.fromEntries(broken.map(({ id }) => [id, errors.get(id)])),
      obeyed: obeyed.map(({ id }) => id),
    };
  }
}

async function failures(trials: readonly Trial[], concurrency: number): Promise<ReadonlyMap<string, unknown>> {
  const errors = new Map<string, unknown>();
  const waiting = [...trials];
  const next = async (): Promise<void> => {
    for (let trial = waiting.shift(); trial !== undefined; trial = waiting.shift()) {
      const { id } = trial;
      await trial.run().catch((error: unknown) => errors.set(id, error));
    }
  };
  await Promise.all(Array.from({ length: concurrency }, next));
  return errors;
}

/** Whether one law is obeyed; with a short ttl, because a law that runs alone makes everybody else wait. */
export async function obeys(harness: Harness, id: string): Promise<boolean> {
  const trial = laws({ ...harness, timing: { ...harness.timing, ttl: 30 } }).find((one) => one.id === id);
  if (!trial) throw new Error(`there is no law ${id}`);
  return trial.run().then(
    () => true,
    () => false,
  );
}
