import type { Server } from "@dlock/testbed";
import type { Fault } from "../fault.js";

const hour = 3_600_000;

/** A server's wall clock, and what it shows when it is asked, in ms. */
export interface Watched {
  readonly server: Server;
  readonly shows: () => Promise<number>;
}

/** Where leases count by the wall clock. The monotonic one is not moved. */
export function clockFaults(watched: Watched): readonly Fault[] {
  // It ends leases early, as is documented: a bit, or all of them. Whatever was granted then is over late when it is set right.
  const forward: Fault = {
    name: "clock-forward",
    movesClock: true,
    forgets: true,
    async strike({ ground, random }) {
      const ms = random.pick([random.between(0.5, 4) * ground.ttl, hour]);
      await move(watched, ms);
      return () => move(watched, -ms);
    },
  };
  // It ends nothing, and stays. By little: the locks of those who died last as much longer.
  const back: Fault = {
    name: "clock-back",
    movesClock: true,
    brief: true,
    async strike({ ground, random }) {
      await move(watched, -random.between(0.2, 0.3) * ground.ttl);
      return async () => {};
    },
  };
  return watched.server.clock ? [forward, back] : [];
}

/** Where nothing depends on the wall clock. */
export function idleClockFaults(server: Server, pick: () => Promise<Watched>): readonly Fault[] {
  const by = (name: string, ms: number): Fault => ({
    name,
    movesClock: true,
    async strike() {
      const watched = await pick();
      await move(watched, ms);
      return () => move(watched, -ms);
    },
  });
  return server.clock ? [by("clock-forward", hour), by("clock-back", -hour)] : [];
}

async function move({ server, shows }: Watched, ms: number): Promise<void> {
  const ahead = async (): Promise<number> => {
    const asked = Date.now();
    return (await shows()) - (asked + Date.now()) / 2;
  };
  const before = await ahead();
  server.clock?.move(ms);
  const moved = (await ahead()) - before;
  if (Math.abs(moved - ms) > Math.abs(ms) / 2)
    throw new Error(`the clock was to move by ${ms.toFixed(0)} ms, and moved by ${moved.toFixed(0)}`);
}
