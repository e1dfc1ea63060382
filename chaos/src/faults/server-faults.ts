import type { Server } from "@dlock/testbed";
import type { Fault } from "../fault.js";

interface About {
  /** What is gone when it comes back without its data; default: it does not come back like that. */
  readonly loses?: "holds" | "tables" | undefined;
  readonly what?: string;
}

/** What can happen to a server, whichever it is at that moment. */
export function serverFaults(
  pick: () => Server | Promise<Server>,
  { loses, what = "server" }: About = {},
): readonly Fault[] {
  const down = (name: string, keepData: boolean, more: Partial<Fault> = {}): Fault => ({
    name,
    ...more,
    async strike() {
      const server = await pick();
      await server.kill();
      return () => server.restart({ keepData });
    },
  });
  const paused: Fault = {
    name: `${what}-paused`,
    async strike() {
      const server = await pick();
      await server.pause();
      return () => server.resume();
    },
  };
  const wiped = down(`${what}-wiped`, false, {
    losesTokens: true,
    ...(loses === "holds" ? { forgets: true } : {}),
  });
  return [paused, down(`${what}-killed`, true), ...(loses === undefined ? [] : [wiped])];
}
