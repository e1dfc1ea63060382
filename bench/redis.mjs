// Records, asserts nothing: how a contended lock is handed over, and what an uncontended one costs.
//   npm run bench -- [redis://…] [seconds]
import { monitorEventLoopDelay } from "node:perf_hooks";
import { createLocks } from "@dlock/core";
import { redisProvider } from "@dlock/redis";
import { startRedis } from "@dlock/testbed";
import { Redis } from "ioredis";

const [lent = "", seconds = "5"] = process.argv.slice(2);
const own = lent === "" ? await startRedis({ appendonly: "no" }) : undefined;
const url = own?.url ?? lent;

const quantile = (values, q) =>
  values.toSorted((one, other) => one - other)[Math.min(values.length - 1, Math.floor(values.length * q))];
const warmUp = 1_000;
const ms = (value) => `${value.toFixed(1)} ms`;

await contended(16, 1);
await uncontended();
await own?.stop();

/** `clients` providers with connections of their own, in this process. */
async function contended(clients, hold) {
  const providers = Array.from({ length: clients }, () => redisProvider({ url }));
  const locks = await Promise.all(providers.map((provider) => createLocks(provider)));
  const waits = [];
  const cycles = [];
  const served = locks.map(() => 0);
  const key = `bench-${crypto.randomUUID()}`;
  let last;
  const start = performance.now() + warmUp;
  const end = start + 1_000 * Number(seconds);
  const lag = monitorEventLoopDelay({ resolution: 1 });
  lag.enable();
  const worker = async (place) => {
    while (performance.now() < end) {
      const since = performance.now();
      await locks[place].withLock(key, async () => {
        const entered = performance.now();
        if (since > start) {
          waits.push(entered - since);
          cycles.push(entered - last);
          served[place]++;
        }
        last = entered;
        while (performance.now() < entered + hold) await new Promise((resolve) => setImmediate(resolve));
      });
    }
  };
  await Promise.all(locks.map((_, place) => worker(place)));
  lag.disable();
  const cycle = quantile(cycles, 0.5);
  const p99 = quantile(waits, 0.99);
  const [least, most] = [Math.min(...served), Math.max(...served)];
  console.log(`${clients} clients, ${hold} ms hold, ${served.reduce((sum, one) => sum + one, 0)} acquisitions`);
  console.log(`  hold and hand-over: median ${ms(cycle)}; ${clients} of them: ${ms(clients * cycle)}`);
  console.log(
    `  wait: median ${ms(quantile(waits, 0.5))}, p99 ${ms(p99)} = ${(p99 / (clients * cycle)).toFixed(2)} times that, longest ${ms(Math.max(...waits))}`,
  );
  console.log(
    `  longest hold and hand-over: ${cycles
      .toSorted((one, other) => other - one)
      .slice(0, 5)
      .map(ms)
      .join(", ")}`,
  );
  console.log(`  served least ${least}, most ${most} (${((100 * (most - least)) / most).toFixed(1)} %)`);
  console.log(`  event loop delay p99 ${ms(lag.percentile(99) / 1e6)}`);
  await Promise.all(locks.map((one) => one.close()));
  await Promise.all(providers.map((provider) => provider.close()));
}

async function uncontended() {
  const provider = redisProvider({ url });
  const locks = await createLocks(provider);
  const redis = new Redis(url);
  const remove = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0";
  redis.defineCommand("unlock", { numberOfKeys: 1, lua: remove });
  const bare = async (key) => {
    await redis.set(key, "token", "PX", 30_000, "NX");
    await redis.unlock(key, "token");
  };
  const ours = async (key) => (await locks.acquire(key)).release();
  const claims = async (key) => {
    const claim = provider.claim({ key, id: "", owner: "bench", ttl: 30_000, mode: "exclusive", limit: 1, join: true });
    await claim.tryAcquire(performance.now() + 10_000);
    await claim.release();
  };
  for (const inFlight of [1, 64]) {
    for (const [title, pair] of [
      ["bare SET NX PX + Lua delete", bare],
      ["claims of @dlock/redis", claims],
      ["locks of @dlock/core on them", ours],
    ]) {
      const rate = Math.max(await run(inFlight, pair), await run(inFlight, pair), await run(inFlight, pair));
      console.log(`uncontended, ${inFlight} in flight, ${String(title)}: ${(rate / 1_000).toFixed(1)} k pairs/s`);
    }
  }
  redis.disconnect();
  await locks.close();
  await provider.close();
}

async function run(inFlight, pair) {
  const end = performance.now() + 700;
  let done = 0;
  const since = performance.now();
  const worker = async (place) => {
    for (; performance.now() < end; done++) await pair(`bench-${place}`);
  };
  await Promise.all(Array.from({ length: inFlight }, (_, place) => worker(place)));
  return (1_000 * done) / (performance.now() - since);
}
