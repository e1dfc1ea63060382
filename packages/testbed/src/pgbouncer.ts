import { randomUUID } from "node:crypto";
import { software } from "./backend.js";
import { through } from "./database.js";
import type { Row, UrlLink } from "./database.js";
import { engineFor } from "./engine.js";
import { freePort, loopback } from "./port.js";
import { answersPostgres, PostgresSide } from "./postgres-side.js";
import { Proxy } from "./proxy.js";
import { Server } from "./server.js";

/** Directives of the section [pgbouncer], as in pgbouncer.ini. */
export type PgbouncerConfig = Readonly<Record<string, string>>;

const defaults: PgbouncerConfig = {
  listen_addr: loopback,
  unix_socket_dir: "",
  auth_type: "plain",
  auth_file: "users.txt",
  admin_users: "console",
  pool_mode: "transaction",
  // What drivers send in every start-up message.
  ignore_startup_parameters: "extra_float_digits",
};

const setup = `
printf %s "$INI" > pgbouncer.ini
printf %s "$USERS" > users.txt
`;

/** Starts a pgbouncer in front of a Postgres (or of a link to one), in transaction mode unless told otherwise. */
export async function startPgbouncer(
  postgres: { readonly url: string },
  config: PgbouncerConfig = {},
): Promise<Pgbouncer> {
  const [port, secret] = [await freePort(), randomUUID()];
  const { hostname, port: behind, username, password } = new URL(postgres.url);
  const directives = Object.entries({ ...defaults, ...config, listen_port: String(port) });
  const env = {
    INI: [
      "[databases]",
      `* = host=${hostname} port=${behind || 5432}`,
      "[pgbouncer]",
      ...directives.map(([name, value]) => `${name} = ${value}`),
      "",
    ].join("\n"),
    USERS: `${quote(username)} ${quote(password)}\n"console" "${secret}"\n`,
  };
  const program = { software: software("pgbouncer"), args: ["pgbouncer.ini"], setup, env };
  // Its own console: what is asked of a database would leave it with a connection there.
  const console = `postgres://console:${secret}@${loopback}:${port}/pgbouncer`;
  const server = await Server.start(await engineFor(program.software), program, () =>
    answersPostgres(console, "show version"),
  );
  return new Pgbouncer(through(postgres.url, port), port, console, server);
}

const quote = (encoded: string): string => `"${decodeURIComponent(encoded).replaceAll('"', '""')}"`;

/** A connection pooler in front of a Postgres server. */
export class Pgbouncer {
  readonly url: string;
  readonly host: string = loopback;
  readonly port: number;
  readonly server: Server;
  readonly #console: PostgresSide;
  readonly #links: Proxy[] = [];

  constructor(url: string, port: number, console: string, server: Server) {
    this.url = url;
    this.port = port;
    this.server = server;
    this.#console = new PostgresSide(console);
  }

  /** A proxy in front of it. */
  async link(): Promise<UrlLink> {
    const proxy = await Proxy.start(this.port, this.host);
    this.#links.push(proxy);
    return Object.assign(proxy, { url: through(this.url, proxy.port) });
  }

  /** What its console shows: `pools`, `clients`, `servers`, … */
  show(what: string): Promise<readonly Row[]> {
    return this.#console.query(`show ${what}`);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#links.map((link) => link.close()));
    await this.server.stop();
    // After the server, which may stand still or be gone: whether this goes well is of no interest.
    await this.#console.close().catch(() => {});
  }
}
