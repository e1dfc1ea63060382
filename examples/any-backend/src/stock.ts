import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

interface Stock {
  left: number;
  /** The largest fencing token that has written. */
  token: string;
}

const fileOf = (folder: string) => join(folder, "stock.json");

/** Unless another process has done it. */
export async function stockUp(folder: string, left: number): Promise<void> {
  const stock: Stock = { left, token: "0" };
  await writeFile(fileOf(folder), JSON.stringify(stock), { flag: "wx" }).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "EEXIST") throw error;
  });
}

/** Reads, thinks, writes: whoever does it without a lock sells the same unit twice. false: sold out. */
export async function sell(folder: string, token: bigint): Promise<boolean> {
  const stock = JSON.parse(await readFile(fileOf(folder), "utf8")) as Stock;
  if (token <= BigInt(stock.token)) throw new Error(`a stale holder: token ${token} after ${stock.token}`);
  await sleep(1);
  const sold = stock.left > 0;
  await writeFile(fileOf(folder), JSON.stringify({ left: stock.left - Number(sold), token: String(token) }));
  return sold;
}
