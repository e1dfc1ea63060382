export { type Election, leader, type LeaderOptions, type Term } from "./recipes/leader.js";
export { once, type OnceOptions } from "./recipes/once.js";
export { nextStripe, striped, type Striped, type StripeTask } from "./recipes/striped.js";
