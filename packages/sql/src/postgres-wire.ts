import { connect } from "node:net";
import type { Reply, Row, Wire } from "./connection.js";

/** What is used of the module `pg`. */
export interface PgDriver {
  readonly Client: new (settings: object) => PgClient;
}

interface PgClient {
  readonly host: string;
  readonly port: number;
  readonly processID: number | null;
  readonly secretKey: number | null;
  readonly connection: { readonly stream: { destroy(): void } };
  connect(): Promise<unknown>;
  query(query: object): Promise<PgResult | PgResult[]>;
  end(): Promise<void>;
  on(event: "error" | "end", listener: (error?: unknown) => void): unknown;
  on(
    event: "notification",
    listener: (notice: { readonly channel: string; readonly payload?: string }) => void,
  ): unknown;
}

interface PgResult {
  readonly rows: readonly Row[];
  readonly rowCount: number | null;
}

/** Values as the server wrote them: parsers are the application's, and commonly turn bigints into numbers. */
const types = { getTypeParser: () => (text: unknown) => text };
const cancelRequest = 80877102;

export class PostgresWire implements Wire {
  readonly #client: PgClient;
  #ended: unknown;

  constructor(driver: PgDriver, settings: object) {
    this.#client = new driver.Client(settings);
    // An error without a listener would end the process.
    this.#client.on("error", (error) => (this.#ended ??= error));
  }

  /** The driver's own, for what a lent knex does to its connections. */
  get raw(): unknown {
    return this.#client;
  }

  /** As the server named itself when it let us in; a pooler makes it up. */
  get backend(): number | null {
    return this.#client.processID;
  }

  async connect(): Promise<void> {
    await this.#client.connect();
  }

  async query(text: string, bindings: readonly unknown[]): Promise<Reply> {
    // Without bindings the text may be several statements, in one transaction.
    const values = bindings.length === 0 ? undefined : bindings;
    const result = await this.#client.query({ text, values, types });
    const last = Array.isArray(result) ? result.at(-1) : result;
    return { rows: last?.rows ?? [], affected: last?.rowCount ?? 0 };
  }

  /** By the protocol: the key of the session is enough, no login. */
  cancel(): Promise<void> {
    const { host, port, processID, secretKey } = this.#client;
    if (processID === null || secretKey === null) return Promise.resolve();
    const packet = Buffer.alloc(16);
    [packet.length, cancelRequest, processID, secretKey].forEach((word, index) =>
      packet.writeInt32BE(word | 0, index * 4),
    );
    return new Promise((resolve) => {
      const socket = host.startsWith("/") ? connect(`${host}/.s.PGSQL.${port}`) : connect(port, host);
      socket.setTimeout(1_000, () => socket.destroy());
      socket.on("error", () => {}).on("close", () => resolve());
      // The server answers by closing; a pooler would not even look if we closed first.
      socket.write(packet);
      socket.resume();
    });
  }

  end(): Promise<void> {
    return this.#client.end();
  }

  destroy(): void {
    this.#client.connection.stream.destroy();
  }

  onEnd(ended: (reason: unknown) => void): void {
    this.#client.on("end", () => ended(this.#ended ?? new Error("the connection ended")));
    this.#client.on("error", ended);
  }

  onNotification(listener: (channel: string, payload: string) => void): void {
    this.#client.on("notification", ({ channel, payload = "" }) => listener(channel, payload));
  }
}
