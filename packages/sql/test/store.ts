import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sqlProvider, type VersionProvider } from "@dlock/sql";
import type { Claim, ClaimRequest, LockProvider } from "@dlock/core";
import { onTestFinished } from "vitest";

export const now = (): number => performance.now();
export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A directory that is gone after the test. */
export function directory(): string {
  const path = mkdtempSync(join(tmpdir(), "dlock-sql-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

export function open(filename: string): VersionProvider {
  const provider = sqlProvider({ filename }, { strategy: "version" });
  onTestFinished(() => provider.close());
  return provider;
}

export function claim<Provider extends Pick<LockProvider, "claim">>(
  provider: Provider,
  key: string,
  ttl = 60_000,
  request: Partial<ClaimRequest> = {},
): ReturnType<Provider["claim"]> {
  const id = randomUUID();
  const whole: ClaimRequest = { key, id, owner: "test", ttl, mode: "exclusive", limit: 1, join: true, ...request };
  return provider.claim(whole) as ReturnType<Provider["claim"]>;
}

/** One answer within five seconds. */
export function ask(from: Claim, ms = 5_000): Promise<bigint | undefined> {
  return from.tryAcquire(now() + ms);
}

interface Connection {
  exec(sql: string): void;
  prepare(sql: string): { all(...bindings: unknown[]): unknown[] };
  close(): void;
}

/** A connection that is none of ours, as another program's. */
export function connect(filename: string): Connection {
  const Libsql = createRequire(import.meta.url)("libsql") as new (filename: string) => Connection;
  return new Libsql(filename);
}

export function foreign(filename: string): Connection {
  const connection = connect(filename);
  onTestFinished(() => connection.close());
  return connection;
}
