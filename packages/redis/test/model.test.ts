import { modelCheck, startRedis } from "@dlock/testbed";
import { afterAll, expect, test } from "vitest";
import { redisProvider } from "@dlock/redis";

const redis = await startRedis();
afterAll(() => redis.stop());

test(
  "readers, writers and permits do what the model does, in thousands of random schedules",
  { timeout: 120_000 },
  async () => {
    const providers = [redisProvider({ url: redis.url }), redisProvider({ url: redis.url })] as const;
    await modelCheck({ providers, count: 3_000, seed: 1 });
    await Promise.all(providers.map((provider) => provider.close()));
    expect((await redis.client.keys("*")).every((key) => key.endsWith(":fence"))).toBe(true);
  },
);
