import { fork } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { Answer, Order, Orders } from "./orders.js";

/** A process that takes locks when told to, and can be killed and stopped. */
export type Holder = {
  readonly [Name in keyof Orders]: (...args: Parameters<Orders[Name]>) => Promise<ReturnType<Orders[Name]>>;
} & {
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** SIGSTOP */
  stop(): void;
  /** SIGCONT */
  continue(): void;
};

/** Starts a holder: a Node process that imports `module` (a path or URL of JavaScript) and calls its `open(...args)`, which resolves with a `Peer`. */
export async function spawnHolder(
  module: string | { readonly href: string },
  ...args: readonly string[]
): Promise<Holder> {
  const program = new URL("holder-program.js", import.meta.url);
  const specifier = typeof module === "string" ? module : module.href;
  const child = fork(program, [specifier, ...args], { serialization: "advanced", execArgv: [] });
  const [ready] = (await Promise.race([once(child, "message"), once(child, "exit")])) as [unknown];
  if (ready !== "ready") throw new Error(`the holder did not start: ${specifier}`);
  return remote(child);
}

function remote(child: ChildProcess): Holder {
  const waiting = new Map<number, Waiter>();
  const gone = once(child, "exit");
  let orders = 0;
  child.on("message", (answer: Answer) => {
    const waiter = waiting.get(answer.id);
    waiting.delete(answer.id);
    if (answer.error) waiter?.reject(Object.assign(new Error(answer.error.message), { code: answer.error.code }));
    else waiter?.resolve(answer.value);
  });
  void gone.then(() => {
    for (const waiter of waiting.values()) waiter.reject(new Error("the holder is gone"));
  });
  const send = <Value>(order: Order["order"], ...args: readonly unknown[]): Promise<Value> =>
    new Promise<Value>((resolve, reject) => {
      const id = ++orders;
      waiting.set(id, { resolve: (value) => resolve(value as Value), reject });
      child.send({ id, order, args } satisfies Order, (error) => error && reject(error));
    });
  return {
    acquire: (key, options) => send("acquire", key, options),
    report: () => send("report"),
    release: () => send("release"),
    contend: (key, rounds) => send("contend", key, rounds),
    runOnce: (key, options, task) => send("runOnce", key, options, task),
    async leave() {
      await send("leave");
      await gone;
    },
    async kill() {
      child.kill("SIGKILL");
      await gone;
    },
    stop: () => void child.kill("SIGSTOP"),
    continue: () => void child.kill("SIGCONT"),
  };
}

interface Waiter {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Error) => void;
}
