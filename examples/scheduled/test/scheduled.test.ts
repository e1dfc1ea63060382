import "reflect-metadata";
import { NestFactory } from "@nestjs/core";
import { createLocks } from "@dlock/core";
import cron from "node-cron";
import { cronCoordinator, LocksModule, Reports } from "scheduled";
import { expect, test } from "vitest";

test("node-cron: of three instances one runs at each tick", { timeout: 20_000 }, async () => {
  const fleet = await Promise.all([1, 2, 3].map(() => createLocks("memory:fleet")));
  const runs = new Map<string, number>();
  let skipped = 0;
  const tasks = fleet.map((locks) => {
    const run = ({ dateLocalIso }: { dateLocalIso: string }) =>
      void runs.set(dateLocalIso, (runs.get(dateLocalIso) ?? 0) + 1);
    const task = cron.schedule("* * * * * *", run, {
      name: "nightly",
      distributed: true,
      distributedLease: 1_500,
      runCoordinator: cronCoordinator(locks),
    });
    task.on("execution:skipped", ({ reason }) => void (skipped += reason === "not-elected" ? 1 : 100));
    return task;
  });
  while (runs.size < 3) await new Promise((resolve) => setTimeout(resolve, 50));
  for (const task of tasks) await task.stop();
  expect(new Set(runs.values())).toEqual(new Set([1]));
  expect(skipped).toBeGreaterThanOrEqual(4);
  expect(skipped).toBeLessThan(100);
  await Promise.all(fleet.map((locks) => locks.close()));
});

test("NestJS: of two applications one runs a guarded method at a tick", async () => {
  class Application {}
  const fleet = await Promise.all(
    [1, 2].map(() =>
      NestFactory.createApplicationContext(
        { module: Application, imports: [LocksModule.forRoot("memory:nest")], providers: [Reports] },
        { logger: false },
      ),
    ),
  );
  const services = fleet.map((application) => application.get(Reports));
  const results = await Promise.all(services.map((service) => service.send("monday")));
  expect(results.filter((result) => result !== undefined)).toEqual(["sent monday"]);
  expect(services.flatMap(({ sent }) => sent)).toEqual(["monday"]);
  await Promise.all(fleet.map((application) => application.close()));
});
