import type { Law } from "./law.js";
import { cleanup } from "./laws/cleanup.js";
import { downgrades } from "./laws/downgrade.js";
import { exclusion } from "./laws/exclusion.js";
import { endings } from "./laws/expire.js";
import { faults } from "./laws/faults.js";
import { guarantees } from "./laws/guarantees.js";
import { input } from "./laws/input.js";
import { leaders } from "./laws/leader.js";
import { leases } from "./laws/leases.js";
import { loss } from "./laws/loss.js";
import { manyKeys } from "./laws/many-keys.js";
import { names } from "./laws/names.js";
import { onlyOnce } from "./laws/once.js";
import { order } from "./laws/order.js";
import { ownership } from "./laws/ownership.js";
import { processes } from "./laws/processes.js";
import { reentry } from "./laws/reentry.js";
import { renewal } from "./laws/renewal.js";
import { semaphores } from "./laws/semaphore.js";
import { server } from "./laws/server.js";
import { sharedLeases } from "./laws/shared-leases.js";
import { sharedOrder } from "./laws/shared-order.js";
import { sharing } from "./laws/shared.js";
import { stripedLocks } from "./laws/striped.js";
import { tokens } from "./laws/tokens.js";
import { waiting } from "./laws/waiting.js";
import { wakeUps } from "./laws/wake-ups.js";

const groups: readonly Law[] = [
  ...guarantees,
  ...exclusion,
  ...leases,
  ...ownership,
  ...tokens,
  ...loss,
  ...renewal,
  ...waiting,
  ...wakeUps,
  ...order,
  ...sharing,
  ...sharedLeases,
  ...sharedOrder,
  ...downgrades,
  ...semaphores,
  ...endings,
  ...reentry,
  ...manyKeys,
  ...stripedLocks,
  ...leaders,
  ...onlyOnce,
  ...cleanup,
  ...input,
  ...names,
  ...faults,
  ...server,
  ...processes,
];

/** Those that run alone come last: with a runner that is concurrent they would hold up the others. */
export const codeOfLaws: readonly Law[] = groups.toSorted(
  (one, other) => Number(one.alone ?? false) - Number(other.alone ?? false),
);
