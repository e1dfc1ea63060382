export { cronCoordinator } from "./cron-coordinator.js";
export { LOCKS, LocksModule } from "./locks-module.js";
export { OncePerTick } from "./once-per-tick.js";
export { Reports } from "./reports.js";
