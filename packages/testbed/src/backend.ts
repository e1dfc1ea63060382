/** What has to be on a machine so that servers of a backend can be started. */
export interface Software {
  readonly backend: Backend;
  /** Names or paths: the first that is found. */
  readonly commands: readonly string[];
  /** Another program that may have these names. */
  readonly impostor?: string;
  /** Whom the server runs as when root starts it: the first that exists. */
  readonly users: readonly string[];
  readonly image: string;
  /** Whom it runs as in an image, where it refuses to be root; in all images there is nobody. */
  readonly imageUser?: string;
  readonly packages: { readonly apt: readonly string[]; readonly brew: readonly string[] };
}

export const backends = ["redis", "zookeeper", "postgres", "pgbouncer", "mariadb", "mysql"] as const;
export type Backend = (typeof backends)[number];

export function software(backend: Backend): Software {
  switch (backend) {
    case "redis":
      return {
        backend,
        commands: (process.env["DLOCK_BIN_REDIS"] ?? "redis-server,valkey-server").split(","),
        users: ["redis", "valkey", "nobody"],
        image: process.env["DLOCK_IMAGE_REDIS"] ?? "redis:8",
        packages: { apt: ["redis-server"], brew: ["redis"] },
      };
    case "zookeeper":
      return {
        backend,
        commands: (
          process.env["DLOCK_BIN_ZOOKEEPER"] ?? "zkServer.sh,/usr/share/zookeeper/bin/zkServer.sh,zkServer"
        ).split(","),
        users: ["zookeeper", "nobody"],
        image: process.env["DLOCK_IMAGE_ZOOKEEPER"] ?? "zookeeper:3.9",
        packages: { apt: ["zookeeper"], brew: ["zookeeper"] },
      };
    case "postgres":
      return {
        backend,
        commands: (process.env["DLOCK_BIN_POSTGRES"] ?? "postgres,/usr/lib/postgresql/*/bin/postgres").split(","),
        users: ["postgres", "nobody"],
        image: process.env["DLOCK_IMAGE_POSTGRES"] ?? "postgres:18",
        imageUser: "nobody",
        packages: { apt: ["postgresql"], brew: ["postgresql@18"] },
      };
    case "pgbouncer":
      return {
        backend,
        commands: (process.env["DLOCK_BIN_PGBOUNCER"] ?? "pgbouncer").split(","),
        users: ["postgres", "nobody"],
        image: process.env["DLOCK_IMAGE_PGBOUNCER"] ?? "edoburu/pgbouncer:latest",
        imageUser: "nobody",
        packages: { apt: ["pgbouncer"], brew: ["pgbouncer"] },
      };
    case "mariadb":
      return {
        backend,
        commands: (process.env["DLOCK_BIN_MARIADB"] ?? "mariadbd").split(","),
        users: ["mysql", "nobody"],
        image: process.env["DLOCK_IMAGE_MARIADB"] ?? "mariadb:12",
        imageUser: "nobody",
        packages: { apt: ["mariadb-server-core", "mariadb-client-core"], brew: ["mariadb"] },
      };
    case "mysql":
      return {
        backend,
        commands: (process.env["DLOCK_BIN_MYSQL"] ?? "mysqld").split(","),
        // Debian calls MariaDB's server mysqld too.
        impostor: "mariadbd",
        users: ["mysql", "nobody"],
        image: process.env["DLOCK_IMAGE_MYSQL"] ?? "mysql:9",
        imageUser: "nobody",
        packages: { apt: [], brew: ["mysql"] },
      };
  }
}

/** Run only where they are asked for by name: Debian has no package of it. */
export const onRequest: readonly Backend[] = ["mysql"];

/** Which backends this run is about: `DLOCK_TEST_BACKENDS`, a list or `none`; by default all that need no request. */
export function selectedBackends(): readonly Backend[] {
  const chosen = process.env["DLOCK_TEST_BACKENDS"];
  if (!chosen) return backends.filter((backend) => !onRequest.includes(backend));
  if (chosen === "none") return [];
  const names = chosen.split(",").map((name) => name.trim());
  const odd = names.find((name) => !backends.some((backend) => backend === name));
  if (odd !== undefined)
    throw new Error(`DLOCK_TEST_BACKENDS names "${odd}"; there are: ${backends.join(", ")}, or none`);
  return backends.filter((backend) => names.includes(backend));
}

/** For `describe.runIf`. */
export const isSelected = (backend: Backend): boolean => selectedBackends().includes(backend);

/** The server that is lent instead of started: `DLOCK_TEST_REDIS_URL`, `DLOCK_TEST_ZOOKEEPER_URL`. */
export const lentUrl = (backend: Backend): string | undefined =>
  process.env[`DLOCK_TEST_${backend.toUpperCase()}_URL`] || undefined;
