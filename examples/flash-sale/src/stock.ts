import Database from "libsql";

/** One of the parts of an item that is sold under several locks. */
export function partOf(item: string, stripe: number): string {
  return `${item}/${stripe}`;
}

/**
 * What the lock protects: one row per item in a database that all sellers open. Reading and writing are two steps, as
 * they are wherever a program has to think in between.
 */
export class Stock {
  readonly #db: Database.Database;

  constructor(file: string) {
    this.#db = new Database(file, { timeout: 5_000 });
    this.#db.pragma("journal_mode = WAL");
    this.#db.pragma("synchronous = NORMAL");
    this.#db.exec(`
      CREATE TABLE IF NOT EXISTS stock (item TEXT PRIMARY KEY, units INTEGER NOT NULL, fence INTEGER NOT NULL DEFAULT 0);
      CREATE TABLE IF NOT EXISTS orders (item TEXT NOT NULL, buyer INTEGER NOT NULL, PRIMARY KEY (item, buyer));
    `);
  }

  put(item: string, units: number): void {
    this.#db.prepare("INSERT INTO stock (item, units) VALUES (?, ?)").run(item, units);
  }

  /** Units that the stock believes are left. */
  left(item: string): number {
    return this.#number("SELECT units AS n FROM stock WHERE item = ?", item);
  }

  /** Orders accepted. */
  sold(item: string): number {
    return this.#number("SELECT count(*) AS n FROM orders WHERE item = ?", item);
  }

  /** Accepts the buyer's order and leaves `left` units. With a token: unless a larger one was here before; false then. */
  sell(item: string, buyer: number, left: number, token?: bigint): boolean {
    const write = this.#db.transaction(() => {
      if (!this.#write(item, left, token)) return false;
      this.#db.prepare("INSERT INTO orders (item, buyer) VALUES (?, ?)").run(item, buyer);
      return true;
    });
    return write.immediate();
  }

  [Symbol.dispose](): void {
    this.#db.close();
  }

  #write(item: string, left: number, token: bigint | undefined): boolean {
    const { changes } =
      token === undefined
        ? this.#db.prepare("UPDATE stock SET units = ? WHERE item = ?").run(left, item)
        : this.#db
            .prepare("UPDATE stock SET units = ?, fence = ? WHERE item = ? AND fence <= ?")
            .run(left, token, item, token);
    return changes === 1;
  }

  #number(sql: string, item: string): number {
    const row = this.#db.prepare(sql).get(item) as { n: number };
    return row.n;
  }
}
