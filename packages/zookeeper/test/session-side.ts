import { monotonicNow } from "@dlock/core";
import { Session, type SessionOptions } from "../src/session.js";

export const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits for a condition, asking every few ms. */
export async function until(condition: () => boolean | Promise<boolean>, ms = 5_000): Promise<void> {
  for (const end = performance.now() + ms; !(await condition()); await sleep(3)) {
    if (performance.now() > end) throw new Error(`not within ${ms} ms: ${condition.toString()}`);
  }
}

/** ms that a promise takes, whatever becomes of it. */
export async function took(promise: Promise<unknown>): Promise<number> {
  const since = performance.now();
  await promise.catch(() => {});
  return performance.now() - since;
}

export const name = (): string => `/session-${crypto.randomUUID().slice(0, 8)}`;

export const bytes = (text: string): Uint8Array => Buffer.from(text);

/** Opens sessions with loopback ports, which are closed when their test is over. */
export function opener(onClose: (close: () => Promise<void>) => void) {
  return async (
    port: number | readonly number[],
    options: Partial<SessionOptions> = {},
    patience = 5_000,
  ): Promise<Session> => {
    const servers = [port].flat().map((each) => ({ host: "127.0.0.1", port: each }));
    const session = await Session.open({ servers, timeout: 1_000, ...options }, monotonicNow() + patience);
    onClose(() => session.close());
    return session;
  };
}
