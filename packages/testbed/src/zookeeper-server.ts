import { software } from "./backend.js";
import { engineFor } from "./engine.js";
import type { Extras } from "./engine.js";
import { loopback } from "./port.js";
import { Server } from "./server.js";
import { say } from "./zookeeper-words.js";

/** As in zoo.cfg; what begins with `-D` is a system property instead, for some have no other name. */
export type ZooKeeperConfig = Readonly<Record<string, string>>;

const defaults: ZooKeeperConfig = {
  clientPortAddress: loopback,
  // Sessions end with a tick: they can be short here.
  tickTime: "100",
  maxSessionTimeout: "60000",
  initLimit: "100",
  syncLimit: "20",
  // Empty containers go within a second, not a minute.
  "-Dznode.container.checkIntervalMs": "500",
  maxClientCnxns: "0",
  "admin.enableServer": "false",
  "4lw.commands.whitelist": "*",
  // What was acknowledged survives SIGKILL: it was written to the file, if not to the disk.
  forceSync: "no",
  preAllocSize: "1024",
  // super:dlock, for the look from the side.
  "DigestAuthenticationProvider.superDigest": "super:MqhGFigJhYpcEKMht/JoxZrTQHk=",
};

// Half a second to the first answer instead of a whole one, and no file in the system's temporary folder that a killed one would leave.
const jvm = ["-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"];
// Debian's server comes without a logger; elsewhere there is nothing by these names.
const logger = "-Xbootclasspath/a:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-simple.jar";

/** Starts one; resolves when it answers, which one of several does before it serves. `id` is its number among several. */
export async function startZooKeeperServer(
  port: number,
  config: ZooKeeperConfig,
  id?: number,
  { clock }: Extras = {},
): Promise<Server> {
  const zookeeper = software("zookeeper");
  // The working directory: a bare dot is more than it can read.
  const given = Object.entries({ ...defaults, ...config, dataDir: "./.", clientPort: String(port) });
  const isProperty = ([name]: readonly [string, string]): boolean => name.startsWith("-D");
  const line = ([name, value]: readonly [string, string]): string => `${name}=${value}`;
  const cfg = given.filter((entry) => !isProperty(entry)).map(line);
  const flags = [...jvm, logger, ...given.filter(isProperty).map(line)];
  const program = {
    software: zookeeper,
    args: ["start-foreground", "./zoo.cfg"],
    env: {
      JVMFLAGS: flags.join(" "),
      JMXDISABLE: "true",
      ZOO_LOG_DIR: ".",
      CFG: cfg.join("\n"),
      MYID: String(id ?? 1),
    },
    setup: 'echo "$CFG" > zoo.cfg\necho "$MYID" > myid',
    clock,
  };
  return Server.start(await engineFor(zookeeper), program, () => answers(port, id === undefined));
}

async function answers(port: number, alone: boolean): Promise<boolean> {
  try {
    return alone ? (await say("srvr", port)).includes("Mode: standalone") : (await say("ruok", port)) === "imok";
  } catch {
    // Not listening yet.
    return false;
  }
}
