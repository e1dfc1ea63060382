import type { Server } from "@dlock/testbed";
import type { Fault } from "../fault.js";

/** What can happen to a server, whichever it is at that moment. */
export function serverFaults(
  pick: () => Server | Promise<Server>,
  { wipe, what = "server" }: { readonly wipe: boolean; readonly what?: string },
): Fault[] {
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
  return [paused, down(`${what}-killed`, true), ...(wipe ? [down(`${what}-wiped`, false, { forgets: true })] : [])];
}
