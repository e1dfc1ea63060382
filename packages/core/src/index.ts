export type { Where } from "./backend.js";
export type { BackendEntry, Config, Entry, Member, MigrateEntry, QuorumEntry } from "./config/config.js";
export { createLocks } from "./create-locks.js";
export {
  asLockError,
  hadNoEffect,
  isLockError,
  isRetryable,
  LockBackendError,
  type LockBackendErrorOptions,
  LockClosedError,
  LockConfigError,
  LockError,
  type LockErrorCode,
  LockLostError,
  LockReentryError,
  LockTimeoutError,
} from "./errors.js";
export type { AboutCall, AboutHold, LockEventName, LockEvents, LockListener, LockListeners } from "./events.js";
export { type Guarantees, requireModes, type Shortfall } from "./guarantees.js";
export type { Lock } from "./lock.js";
export type { LockSet } from "./lock-set.js";
export type { Locks, Task } from "./locks.js";
export type { AcquireOptions, CloseOptions, LocksOptions, Requirements, TryOptions } from "./options.js";
export type {
  BaseClaim,
  Claim,
  ClaimRequest,
  FencingToken,
  HolderStatus,
  LeaseClaim,
  LockMode,
  LockProvider,
  LockStatus,
  ProviderContext,
  ProviderEntry,
  ProviderFactory,
  ProviderNotice,
  SessionClaim,
  WaiterStatus,
} from "./provider.js";
export type { MinimalSignal, Signal } from "./signal.js";
export { backoff } from "./backoff.js";
export { mergeOptions, queryOf } from "./backend-options.js";
export { checkDuration, checkFields, checkKey, checkOneOf, checkText } from "./check.js";
export { monotonicNow } from "./clock.js";
export { Moment } from "./moment.js";
export { pause, settleBy } from "./settle.js";
export { Tenure, type TenureListener, type TenureTerms } from "./tenure.js";
export { type Candidate, recommend, type Recommendation } from "./recommend.js";
