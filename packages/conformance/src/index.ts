export { conformance, type TestFunction } from "./conformance.js";
export type { Alias, Harness, Link, LinkedPeer, Offer, Peer, Server, Timing } from "./harness.js";
export { spawnHolder, type Holder } from "./holder.js";
export type { Orders, Span, Work } from "./orders.js";
export { laws, type Trial } from "./trial.js";
