export { migrate, type Migration } from "./combinators/migrate.js";
export { observe, type ProviderCall, type ProviderListener } from "./combinators/observe.js";
export { prefix } from "./combinators/prefix.js";
export { quorum, type QuorumOptions } from "./combinators/quorum.js";
export { route, type RouteTable } from "./combinators/route.js";
