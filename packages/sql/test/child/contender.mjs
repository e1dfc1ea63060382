import { createLocks } from "@dlock/core";

// Waits for the others, then takes the key again and again; reports when it held it, on the clock all processes share.
const [file, rounds] = process.argv.slice(2);
const locks = await createLocks(`sqlite:${file}`);
process.send("ready");
await new Promise((resolve) => process.once("message", resolve));
const spans = [];
for (let round = 0; round < Number(rounds); round++) {
  await locks.withLock("key", { ttl: 5_000 }, async ({ fencingToken }) => {
    const from = process.hrtime.bigint();
    if (round % 4 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    spans.push({ token: String(fencingToken), from: String(from), to: String(process.hrtime.bigint()) });
  });
}
await locks.close();
process.send(spans, () => process.disconnect());
