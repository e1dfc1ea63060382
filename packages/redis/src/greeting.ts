import { LockBackendError, LockConfigError, monotonicNow } from "@dlock/core";
import type { Redis } from "ioredis";
import { isDenied, isRefusal, isStranger, passes, withoutArguments } from "./failure.js";
import type { ServerClock } from "./server-clock.js";

/**
 * Makes a new connection to one server fit for locks: selects their database, and looks whether the server is a primary. The
 * driver does the first too, but says "ready" also when it failed. Rejects with what is wrong. Takes one round trip.
 */
export async function greet(server: Redis, database: number, clock: ServerClock): Promise<void> {
  // A connection starts in database 0: whoever uses that needs no right to select.
  const selected = database === 0 ? undefined : select(server, database);
  // A user who may not look is not warned: its writes are refused.
  const replication = server.info("replication").catch(() => "");
  await Promise.all([selected, learnTime(server, clock), replication.then((info) => checkRole(info))]);
}

async function select(server: Redis, database: number): Promise<void> {
  try {
    // In capitals, so that the driver does not notice: at the next connect it would select it too, and nobody would hear of a refusal.
    await server.call("SELECT", database);
  } catch (error) {
    refuse(database, error);
  }
}

/** Learns what the server's clock shows. */
export async function learnTime(server: Redis, clock: ServerClock): Promise<void> {
  const askedAt = monotonicNow();
  const [seconds, micros] = await server.time();
  clock.learn(Number(seconds) * 1_000_000 + Number(micros), askedAt);
}

function checkRole(replication: string): void {
  if (!/^role:slave/m.test(replication)) return;
  const [, host] = /^master_host:(\S+)/m.exec(replication) ?? [];
  const [, port] = /^master_port:(\d+)/m.exec(replication) ?? [];
  const message = `redis is a replica, whose locks would exclude nobody: name its primary, ${host}:${port}, or use redis+sentinel:`;
  // It may be about to become the primary.
  throw new LockBackendError(message, { retryable: true, noEffect: true });
}

function refuse(database: number, error: unknown): never {
  // The server is busy, or the connection broke: it may be selected the next time. Or it lets this user do nothing at all.
  if (!isRefusal(error) || passes(error) || isStranger(error)) throw error;
  const said = `; the server said: ${error.message}`;
  const accepted = isDenied(error)
    ? "0, or a user with the right to SELECT (ACL SETUSER … +select)"
    : error.message.includes("cluster mode")
      ? "0: the server is a node of a cluster (redis+cluster:), which has one database"
      : "a database that the server has (its setting `databases`) and lets this user select";
  throw new LockConfigError("database", database, accepted + said, undefined, withoutArguments(error));
}
