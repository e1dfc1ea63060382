import { createLocks } from "@dlock/core";
import { sell, stockUp } from "./stock.js";

const [folder = ".", units = "20"] = process.argv.slice(2);
const buyers = Number(units) + 10;

// Whichever backend: DLOCK_URL, DLOCK_CONFIG, or a dlock.config.json here or above.
const locks = await createLocks();
await stockUp(folder, Number(units));
let sold = 0;
const buy = async (): Promise<void> => {
  const bought = await locks.withLock("stock:42", { waitTimeout: 60_000 }, (lock) => {
    lock.throwIfLost(200);
    return sell(folder, lock.fencingToken);
  });
  if (bought) sold += 1;
};
await Promise.all(Array.from({ length: buyers }, buy));
console.log(
  `${buyers} buyers, ${sold} sold (exclusion: ${locks.guarantees.exclusion}, waiting: ${locks.guarantees.waiting})`,
);
await locks.close();
