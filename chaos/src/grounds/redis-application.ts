interface Application {
  readonly user: string;
  readonly database: number;
  /** Where something of it may be found: in its own one, and where it must not be. */
  readonly databases: readonly number[];
  /** For the server: the user may do everything, and is there again after every start. */
  readonly config: Readonly<Record<"user", readonly string[]>>;
  /** Of a server or several, as the application names them. */
  url(servers: string): string;
}

const [user, password, database] = ["app", "secret", 3];

/** The workers' user and database: neither is the one that a connection has before it is told. */
export const application: Application = {
  user,
  database,
  databases: [0, database],
  config: { user: [user, "on", `>${password}`, "~*", "&*", "+@all"] },
  url: (servers) => `${servers.replace("://", `://${user}:${password}@`)}/${database}`,
};
