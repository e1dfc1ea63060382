import { constants } from "node:os";
import { parseArgs } from "node:util";
import { createLocks, type Guarantees, LockError } from "@dlock/core";
import { SaleError } from "./error.js";
import { Folder } from "./folder.js";
import { progress } from "./progress.js";
import { type Played, story, table } from "./report.js";
import type { Result } from "./result.js";
import { type Round, rounds, stripedRound } from "./round.js";
import { buyers, sale, units } from "./sale.js";
import { Staff } from "./staff.js";
import { Stock } from "./stock.js";

const sellers = 8;

/** The whole demo: every round, then the table. False if a promise was broken. */
async function flashSale(signal: AbortSignal): Promise<boolean> {
  const program = rounds.toSpliced(2, 0, ...askStripes().map(stripedRound));
  await using folder = await Folder.create();
  // The sellers inherit it: one environment variable is the whole choice of a backend.
  process.env["DLOCK_URL"] ||= `sqlite:${folder.file("locks.db")}`;
  const { exclusion, fencing, alive } = await askGuarantees();
  signal.throwIfAborted();

  const stockFile = folder.file("stock.db");
  using stock = new Stock(stockFile);
  await using staff = new Staff(sellers, stockFile, signal);
  await staff.ready();
  console.log(`${sellers} processes sell ${units} units to ${buyers} buyers.`);
  console.log(`Their locks give exclusion: ${exclusion}, fencing: ${fencing}, alive: ${alive}.`);

  const played: Played[] = [];
  for (const round of program) {
    console.log(`\nRound ${round.id}, ${round.title}: ${round.promise}`);
    const result = await play(round, staff, stock);
    console.log(story(result));
    played.push({ round, result });
  }
  console.log(`\n${table(played)}`);
  return played.every(({ round, result }) => round.kept(result));
}

async function play(round: Round, staff: Staff, stock: Stock): Promise<Result> {
  using shown = progress(buyers);
  return await sale(round, staff, stock, () => shown.step());
}

/** The number after `--stripes`, if it was given. */
function askStripes(): readonly number[] {
  let given: string | undefined;
  try {
    given = parseArgs({ options: { stripes: { type: "string" } } }).values.stripes;
  } catch (error) {
    throw new SaleError((error as Error).message);
  }
  if (given === undefined) return [];
  const stripes = Number(given);
  if (Number.isInteger(stripes) && stripes >= 2 && stripes <= units) return [stripes];
  throw new SaleError(`--stripes ${given}: expected a number from 2 to ${units}`);
}

/** Reaches the backend, so that a wrong address is told before anybody is hired. */
async function askGuarantees(): Promise<Guarantees> {
  await using locks = await createLocks(undefined, { connect: true });
  if (locks.guarantees.exclusion !== "process") return locks.guarantees;
  throw new SaleError(
    "DLOCK_URL names locks that live inside one process, and the sellers are several: they cannot share them",
  );
}

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.on(name, () => {
    process.exitCode = 128 + constants.signals[name];
    stop.abort(new SaleError("interrupted"));
  });
}

try {
  const kept = await flashSale(stop.signal);
  process.exitCode ??= kept ? 0 : 1;
} catch (error) {
  if (!(error instanceof SaleError || error instanceof LockError)) throw error;
  console.error(`flash sale: ${error.message}`);
  process.exitCode ??= 1;
}
