import type { Server } from "@dlock/testbed";
import type { Fault } from "../fault.js";

const hour = 3_600_000;

/** The server's wall clock is moved, and its monotonic one is not. `shows` is what the former shows, in ms. */
export function clockFaults({ clock }: Server, shows: () => Promise<number>): readonly Fault[] {
  if (!clock) return [];
  const move = async (ms: number): Promise<void> => {
    const ahead = (await shows()) - Date.now();
    clock.move(ms);
    const moved = (await shows()) - Date.now() - ahead;
    if (Math.abs(moved - ms) > 200) throw new Error(`the clock was to move by ${ms} ms, and moved by ${moved}`);
  };
  // It ends leases early, as is documented: a bit, or all of them. Whatever was granted then is over late when it is set right.
  const forward: Fault = {
    name: "clock-forward",
    forgets: true,
    async strike({ ground, random }) {
      const ms = random.pick([random.between(0.5, 4) * ground.ttl, hour]);
      await move(ms);
      return () => move(-ms);
    },
  };
  // It ends nothing, and stays. By less than a ttl, for which the locks of those who died last longer.
  const back: Fault = {
    name: "clock-back",
    brief: true,
    async strike({ ground, random }) {
      await move(-random.between(0.1, 0.9) * ground.ttl);
      return async () => {};
    },
  };
  return [forward, back];
}
