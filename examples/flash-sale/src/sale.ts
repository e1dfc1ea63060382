import type { Order, Served } from "./messages.js";
import type { LateSale, Result } from "./result.js";
import type { Round } from "./round.js";
import { SaleError } from "./error.js";
import type { Staff } from "./staff.js";
import { partOf, type Stock } from "./stock.js";

export const units = 100;
export const buyers = 300;
/** How many buyers the others serve while one seller is paused. */
const meanwhile = 20;
const ttl = 10_000;
const pausedTtl = 1_000;

/** Plays one round with a full stock; `each` hears of every buyer who was served. */
export async function sale(round: Round, staff: Staff, stock: Stock, each: () => void): Promise<Result> {
  const { id, method, stripes } = round;
  const item = `round-${id}`;
  const parts = stripes === 1 ? [item] : Array.from({ length: stripes }, (_, stripe) => partOf(item, stripe));
  const orders = Array.from({ length: buyers }, (_, n): Order => ({ item, buyer: n + 1, method, ttl, stripes }));
  const lost: string[] = [];
  const note = (served: Served): void => {
    if (served.lost !== undefined) lost.push(served.lost);
    each();
  };

  const started = performance.now();
  for (const [place, part] of parts.entries()) stock.put(part, share(units, stripes, place));
  const late = round.pause ? await pauseOne(orders.splice(0, meanwhile + 1), staff, stock, note) : undefined;
  await staff.serve(orders, note);

  const sold = sum(parts.map((part) => stock.sold(part)));
  return {
    units,
    buyers,
    sold,
    oversold: Math.max(0, sold - units),
    left: sum(parts.map((part) => stock.left(part))),
    lost,
    late,
    took: performance.now() - started,
  };
}

function share(all: number, parts: number, place: number): number {
  return Math.floor(all / parts) + (place < all % parts ? 1 : 0);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, each) => total + each, 0);
}

/** One seller is stopped with the lock in its hand and the stock in its head; the others go on; then it wakes and writes. */
async function pauseOne(
  [first, ...rest]: Order[],
  staff: Staff,
  stock: Stock,
  note: (served: Served) => void,
): Promise<LateSale> {
  const [sleeper, ...others] = staff.sellers;
  if (first === undefined || sleeper === undefined) throw new SaleError("a pause takes a buyer and a seller");

  const pause = async () => {
    const read = await sleeper.thinking();
    const stopped = performance.now();
    sleeper.pause();
    // Their first sale waits until the paused seller's lock has run out.
    await staff.serve(rest, note, others);
    const before = stock.left(first.item);
    sleeper.goOn();
    return { read, before, paused: performance.now() - stopped };
  };
  const [served, seen] = await Promise.all([sleeper.serve({ ...first, ttl: pausedTtl, hold: true }), pause()]);
  note(served);
  return { seller: sleeper.name, ...seen, after: stock.left(first.item), outcome: served.outcome };
}
