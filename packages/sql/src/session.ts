export interface SessionTerms {
  /** ms without a statement after which the server ends the session, whatever it holds; default: it does not. */
  readonly idle?: number | undefined;
  /** ms a statement waits for a lock at the server; default 1 000. */
  readonly lockWait?: number | undefined;
}

interface Server {
  readonly dialect: string;
  readonly version: number;
}

/** What a session is called at its server. */
export interface SessionName {
  readonly backend: string;
  /** What tells it from a later one of that number. */
  readonly mark: string;
}

export interface Session {
  /** `backend`, `version` and `mark`. */
  readonly ask: string;
  /** Ends a session from another one: the first statement counts what is `left_over`, the other one is for when something is. */
  end(name: SessionName): readonly [string, string?];
  /** One text that sets everything. */
  set(terms: SessionTerms, server: Server): string;
  /** What may be refused without harm. */
  attempt(terms: SessionTerms, server: Server): readonly string[];
}

/** MySQL and MariaDB: the zone in which `SYSDATE` is the same for everybody, and goes neither back nor ahead. */
export const utc = "+00:00";

// How long what an ended client left running may go on.
const leftover = 10_000;

/**
 * What the roles, databases and configuration files of the user say is overridden: an isolation level above READ
 * COMMITTED makes first uses fail, a timeout ends holds. Half-open links are the business of keepalives, stopped
 * processes that of `idle`.
 */
export const postgresSession: Session = {
  ask: `SELECT pg_catalog.pg_backend_pid() AS backend, pg_catalog.current_setting('server_version_num') AS version,
  (SELECT extract(epoch FROM backend_start) FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()) AS mark`,
  // By its start too: numbers of processes come again. In a CASE, because conditions are tried in any order: this one on everybody else.
  end: ({ backend, mark }) => [
    `SELECT pg_catalog.count(*) AS left_over FROM pg_catalog.pg_stat_activity WHERE CASE
WHEN pid = ${backend} AND extract(epoch FROM backend_start) = ${mark} THEN NOT pg_catalog.pg_terminate_backend(pid, 2000) ELSE false END`,
  ],
  set({ idle = 0, lockWait = 1_000 }, { version }) {
    const settings: Record<string, string | number> = {
      default_transaction_isolation: "read committed",
      default_transaction_deferrable: "off",
      default_transaction_read_only: "off",
      lock_timeout: lockWait,
      statement_timeout: lockWait + leftover,
      idle_in_transaction_session_timeout: idle || leftover,
      // Not before `idle`: what lives by the session would end earlier than its holder, on the other side of a dead link, knows.
      tcp_keepalives_idle: Math.ceil(idle / 1_000) + 10,
      tcp_keepalives_interval: 5,
      tcp_keepalives_count: 3,
      ...(version >= 120_000 ? { tcp_user_timeout: Math.min(idle + 25_000, 2 ** 31 - 1) } : {}),
      ...(version >= 140_000 ? { idle_session_timeout: idle } : {}),
      ...(version >= 170_000 ? { transaction_timeout: 0 } : {}),
    };
    return Object.entries(settings)
      .map(([name, value]) => `SET ${name} = '${value}'`)
      .join("; ");
  },
  // A client that died while its statement waits is noticed only by looking.
  attempt: (_, { version }) => (version >= 140_000 ? ["SET client_connection_check_interval = '500ms'"] : []),
};

/** As above. The statements' text depends on sql_mode, what follows a COMMIT on completion_type, and the clock on time_zone. */
export const mysqlSession: Session = {
  ask: `SELECT CONNECTION_ID() AS backend, VERSION() AS version,
  (SELECT HEX(host) FROM information_schema.processlist WHERE id = CONNECTION_ID()) AS mark`,
  // By its address too: a server that was restarted counts from one again, and would end somebody else's.
  end: ({ backend, mark }) => [
    `SELECT COUNT(*) AS left_over FROM information_schema.processlist WHERE id = ${backend} AND HEX(host) = '${mark}'`,
    `KILL ${backend}`,
  ],
  set({ idle = 0, lockWait = 1_000 }, { dialect }) {
    const settings: Record<string, string | number> = {
      sql_mode: "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
      autocommit: 1,
      completion_type: 0,
      time_zone: `'${utc}'`,
      innodb_lock_wait_timeout: seconds(lockWait),
      lock_wait_timeout: seconds(lockWait),
      wait_timeout: idle === 0 ? 28_800 : seconds(idle),
      ...(dialect === "mariadb"
        ? { max_statement_time: 0, idle_transaction_timeout: 0, idle_write_transaction_timeout: 0 }
        : { max_execution_time: 0 }),
    };
    return `SET ${Object.entries(settings)
      .map(([name, value]) => `SESSION ${name} = ${value}`)
      .join(", ")}`;
  },
  // A clock that a lent knex has stopped; where `secure_timestamp` refuses this, it could not be stopped.
  attempt: () => [
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION TRANSACTION READ WRITE",
    "SET SESSION timestamp = DEFAULT",
  ],
};

/** A statement of MySQL or MariaDB, for a session that is somebody else's and in a zone of his. */
export function inUtc(dialect: string, statement: string): string {
  const zone = `time_zone = '${utc}'`;
  return statement.replace(/^(SELECT|INSERT|UPDATE|DELETE)\b/, (verb) =>
    dialect === "mariadb" ? `SET STATEMENT ${zone} FOR ${verb}` : `${verb} /*+ SET_VAR(${zone}) */`,
  );
}

/** Never shorter than asked for. */
function seconds(ms: number): number {
  return Math.max(1, Math.ceil(ms / 1_000));
}
