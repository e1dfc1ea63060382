import { afterEach, expect, test } from "vitest";
import { Listeners } from "../src/listeners.js";

const listen = (): void => {};

afterEach(() => void process.off("exit", listen));

test("whoever listens no more has left nothing", async () => {
  const { signal } = new AbortController();
  process.on("exit", listen);
  const listeners = await Listeners.of(signal);
  signal.addEventListener("abort", listen);
  signal.removeEventListener("abort", listen);
  expect(listeners.left()).toBeUndefined();
});

test("one listener is seen, wherever it is, also when another one has gone", async () => {
  const { signal } = new AbortController();
  process.on("exit", listen);
  const listeners = await Listeners.of(signal);
  process.off("exit", listen);
  signal.addEventListener("abort", listen);
  expect(listeners.left()).toMatch("1 listeners to a signal, -1 more to the process");
  signal.removeEventListener("abort", listen);
  expect(listeners.left()).toMatch("-1 more");
});
