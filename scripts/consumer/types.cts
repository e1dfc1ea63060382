import { createLocks, type Lock, type LockProvider, LockTimeoutError } from "@dlock/core";
import { memoryProvider, memoryStore } from "@dlock/core/memory";
import { conformance, type Harness } from "@dlock/conformance";
import { type RedisProvider, redisProvider } from "@dlock/redis";
import { createProvider, sqlProvider } from "@dlock/sql";

export async function sell(harness: Harness): Promise<string> {
  const provider: LockProvider = memoryProvider({ store: memoryStore() });
  const elsewhere: RedisProvider = redisProvider({ url: "redis://localhost" }, { namespace: "app:" });
  await elsewhere.close();
  await using locks = await createLocks(provider, { ttl: 10_000, require: { exclusion: ["process", "host"] } });
  await using lock: Lock = await locks.acquire("stock:42", { waitTimeout: 5_000 });
  const aborted: boolean = lock.signal.aborted;
  const off = locks.on("lost", (event) => event.reason.message);
  const left: number = await locks.withLock("stock:42", { ttl: undefined }, () => 1);
  const ran: { readonly result: number } | undefined = await locks.tryWithLock("nightly", async () => left);
  off();
  return `${aborted} ${lock.fencingToken} ${ran?.result} ${LockTimeoutError.name} ${[createProvider, sqlProvider, conformance, harness].length}`;
}
