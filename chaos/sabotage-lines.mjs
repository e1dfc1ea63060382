/** For a test that also runs the source itself, which has the same line. */
const sourceToo = (file) => [file, file.replace("/dist/", "/src/").replace(/js$/, "ts")];

/**
 * The lines on which safety rests, each with what has to notice that it is missing: a cell of the short version (`backend`, `nemesis`), or a
 * `test`, of which those run whose names match the `title`.
 */
export const lines = [
  {
    name: "owner check in release",
    file: "packages/redis/dist/scripts/release.js",
    edits: [["local held = fenceOf(value, owner)", "local held = value"]],
    backend: "redis",
    nemesis: "holder-paused",
  },
  {
    name: "deadline counted from before the request",
    file: "packages/core/dist/contender.js",
    edits: [["{ token, asked, doubtfulUntil", "{ token, asked: new Moment(), doubtfulUntil"]],
    backend: "redis",
    nemesis: "replies-frozen,holder-paused",
  },
  {
    name: "renewal counted from before the request",
    file: "packages/core/dist/validity.js",
    edits: [
      [
        "this.#end = Math.max(this.#end, this.#open.get(restart) ?? this.#end);",
        "this.#end = leaseEnd(new Moment().at, restart.ttl);",
      ],
    ],
    backend: "redis",
    nemesis: "late-then-frozen",
  },
  {
    name: "re-check after a wake-up",
    file: "packages/zookeeper/dist/contest.js",
    edits: [
      [
        "const obstacle = obstacleTo(this.#request, before);",
        "const obstacle = this.woken ? undefined : obstacleTo(this.#request, before);",
      ],
      [
        "this.#watched = undefined;\n        this.turn.now();",
        "this.#watched = undefined;\n        this.woken = true;\n        this.turn.now();",
      ],
    ],
    backend: "zookeeper",
    nemesis: "waiter-killed",
  },
  {
    name: "deadline inside of the script",
    file: "packages/redis/dist/scripts/try.js",
    edits: [["if now > tonumber(ARGV[3]) then return {now} end", ""]],
    backend: "redis",
    nemesis: "killed-unheard",
  },
  {
    name: "order of czxids",
    file: "packages/zookeeper/dist/zookeeper-claim.js",
    edits: [["const token = czxid +", "const token = 0n * czxid +"]],
    backend: "zookeeper",
    nemesis: "none",
  },
  {
    name: "heartbeat through the leader",
    file: "packages/zookeeper/dist/session.js",
    // What a read says, which any server answers by itself.
    edits: [
      ["if (operation.throughLeader)", "if (true)"],
      [
        "new Keepers((paths) =>",
        "new Keepers(async (paths) => Promise.all(paths.map(async (path) => (await this.exists(path)) ? 0 : -101)), (paths) =>",
      ],
    ],
    backend: "zookeeper",
    nemesis: "follower-cut-off",
  },
  {
    name: "refusal to select a database",
    file: "packages/redis/dist/greeting.js",
    edits: [["        refuse(database, error);", ""]],
    backend: "redis",
    nemesis: "select-denied",
  },
  {
    name: "schema in front of each table",
    file: "packages/sql/dist/in-schema.js",
    edits: [['(schema === undefined ? "" : `${schema}.`)', '""']],
    backend: "postgres-search-path",
    nemesis: "search-path-set",
  },
  {
    name: "no table by the name of a role",
    file: "packages/sql/dist/search-path.js",
    // With a second look that finds the table of another role, which would refuse to go on.
    edits: [
      [
        "path.filter((name) => name !== userEntry &&",
        "path.map((name) => (name === userEntry ? roles[0] : name)).filter((name) =>",
      ],
      ["if (having.length > 0)", "if (false)"],
    ],
    backend: "postgres-roles",
    nemesis: "none",
  },
  {
    name: "no local time",
    file: "packages/sql/dist/session.js",
    edits: [['export const utc = "+00:00";', 'export const utc = "SYSTEM";']],
    backend: "mariadb",
    nemesis: "summer-time-ends,summer-time-begins",
  },
  {
    name: "what a late answer proves",
    file: "packages/core/dist/tenure.js",
    edits: [
      [
        "            if (this.ended)\n                return;\n            this.#acknowledge",
        "            if (this.ended || late)\n                return;\n            this.#acknowledge",
      ],
    ],
    backend: "redis",
    nemesis: "answers-slow",
  },
  // From here on: what no fault meets, for no worker does what it is about. It is held by tests.
  {
    name: "nothing is sent before a connection is verified",
    file: "packages/redis/dist/link.js",
    edits: [[" && this.#connecting === undefined", ""]],
    test: "packages/redis/test/database.test.ts",
    title: "nothing is sent between a connection that is made and the database that is selected",
  },
  {
    name: "no resend by the driver of a cluster",
    file: "packages/redis/dist/client.js",
    edits: [["retryDelayOnFailover: 0,", ""]],
    test: "packages/redis/test/resend.test.ts",
    title: "on a cluster, a command whose answer is cut is sent once",
  },
  {
    name: "forced release of what was seen, in Redis",
    file: sourceToo("packages/redis/dist/scripts/force-release.js"),
    edits: [["if fenceOf(value, owner) == fence then", "if value then"]],
    test: "packages/redis/test/resend.test.ts",
    title: "a repeat of a forced release ends nothing but the holds it names",
  },
  {
    name: "forced release of what was seen, in PostgreSQL",
    file: "packages/sql/dist/postgres-dialect.js",
    edits: [["AND claim = :claim AND version = CAST(:version AS bigint) AND expires > ${now}", "AND expires > ${now}"]],
    test: "packages/sql/test/resend.test.ts",
    title: "a forced release on 'postgres' that comes late",
  },
  {
    name: "forced release of what was seen, in MariaDB",
    file: "packages/sql/dist/mysql-dialect.js",
    edits: [
      ["AND claim = :claim\n  AND version = CAST(:version AS SIGNED) AND expires > ${now}", "AND expires > ${now}"],
    ],
    test: "packages/sql/test/resend.test.ts",
    title: "a forced release on 'mariadb' that comes late",
  },
  {
    name: "forced release of what was seen, in ZooKeeper",
    file: "packages/zookeeper/dist/zookeeper-provider.js",
    // A second look, at whoever holds once the first holder has gone.
    edits: [
      [
        "return (await Promise.all(ended)).includes(true);",
        "return (await Promise.all(ended)).includes(true) || (ended.length > 0 && this.forceRelease(key));",
      ],
    ],
    test: "packages/zookeeper/test/faults.test.ts",
    title: "who releases by force what another has ended meanwhile",
  },
  {
    name: "withdrawal of the hold it names",
    file: sourceToo("packages/redis/dist/scripts/undo.js"),
    edits: [["elseif fenceOf(value, owner) ~= fence then", "elseif not fenceOf(value, owner) then"]],
    test: "packages/redis/test/resend.test.ts",
    title: "a repeat of a withdrawal",
  },
  {
    name: "a late renewal shortens nothing",
    file: sourceToo("packages/redis/dist/scripts/renew.js"),
    edits: [["if shortens or redis.call('PTTL', KEYS[1]) < ttl then", "if true then"]],
    test: "packages/redis/test/resend.test.ts",
    title: "a repeat of a try or a renewal that comes late",
  },
  {
    name: "a late request to shorten does nothing",
    file: sourceToo("packages/redis/dist/scripts/renew.js"),
    edits: [["if shortens and now > tonumber(ARGV[3]) then return -1 end", ""]],
    test: "packages/redis/test/resend.test.ts",
    title: "a repeat of a try or a renewal that comes late",
  },
  {
    name: "names that no user can have",
    file: sourceToo("packages/redis/dist/keys.js"),
    edits: [["\\0dlock", "dlock"]],
    test: "packages/redis/test/namespace.test.ts",
    title: "every name is a lock of its own",
  },
  {
    name: "no lock where a value of another type lies",
    file: "packages/redis/dist/scripts/value.js",
    edits: [
      ["if type(value) ~= 'table' then return value end", "if true then return type(value) ~= 'table' and value end"],
    ],
    test: "packages/redis/test/namespace.test.ts",
    title: "every call says so by one error",
  },
  {
    name: "no prefix in an entry",
    file: "packages/core/dist/config/check-config.js",
    edits: [["refuseLocksOptions((field) => child(path, field), Object.keys(options));", ""]],
    test: "packages/core/test/prefix.test.ts",
    title: "is refused",
  },
  {
    name: "no prefix in a URL",
    file: "packages/core/dist/config/check-config.js",
    edits: [["refuseLocksOptions(() => path, new URLSearchParams(query).keys());", ""]],
    test: "packages/core/test/prefix.test.ts",
    title: "is refused",
  },
  {
    name: "once keeps the tick",
    file: "packages/core/dist/recipes/once.js",
    edits: [["await lock.expireIn(Math.max(0, until - monotonicNow()));", ";"]],
    test: "packages/core/test/recipes.test.ts",
    title: "of all who come in one tick, one runs",
  },
  {
    name: "no renewal of what was given up",
    file: "packages/core/dist/hold.js",
    edits: [["this.#tenure.giveUp();", ""]],
    test: "packages/core/test/recipes.test.ts",
    title: "when the task is over nothing is renewed",
  },
  {
    name: "no once where a hold ends with its process",
    file: "packages/core/dist/queue.js",
    edits: [["if (alive !== undefined && !isLease(claim))", "if (false)"]],
    test: "packages/core/test/recipes.test.ts",
    title: "a key whose hold would end with its process is refused",
  },
  {
    name: "a shorter request bounds what answers prove",
    file: "packages/core/dist/validity.js",
    edits: [["this.#open.set(other, Math.min(end, latest));", ";"]],
    test: "packages/core/test/validity.test.ts",
    title: "when a shorter ttl was asked for",
  },
  {
    name: "a shorter request bounds what was proven",
    file: "packages/core/dist/validity.js",
    edits: [["this.#end = Math.min(this.#end, latest);", ""]],
    test: "packages/core/test/validity.test.ts",
    title: "when a shorter ttl was asked for",
  },
  {
    name: "a grant that is half over is asked for anew",
    file: "packages/core/dist/contender.js",
    edits: [["isFresh(this.claim, first.asked, this.#ttl)", "true"]],
    test: "packages/core/test/validity.test.ts",
    title: "is asked for once more, which starts the lease anew",
  },
  {
    name: "one at a time creates tables",
    file: "packages/sql/dist/table-location.js",
    edits: [['SELECT pg_catalog.pg_advisory_xact_lock(${advisoryNumber("create", table)})', "SELECT 1"]],
    test: "packages/sql/test/schema-resolution.test.ts",
    title: "many who come first",
  },
  {
    name: "the clock of each statement behind a pooler",
    file: "packages/sql/dist/server-database.js",
    edits: [["textFor(opened, text)", "text"]],
    test: "packages/sql/test/changed-clock.test.ts",
    title: "behind a pooler",
  },
];
