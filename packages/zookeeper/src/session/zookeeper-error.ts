/** Why a call failed. What is not listed by name is `OTHER`, with the server's number in the message. */
const failures = {
  [-4]: "CONNECTION_LOSS",
  [-6]: "UNIMPLEMENTED",
  [-8]: "BAD_ARGUMENTS",
  [-101]: "NO_NODE",
  [-102]: "NO_AUTH",
  [-103]: "BAD_VERSION",
  [-108]: "NO_CHILDREN_FOR_EPHEMERALS",
  [-110]: "NODE_EXISTS",
  [-111]: "NOT_EMPTY",
  [-112]: "SESSION_LOST",
  [-114]: "INVALID_ACL",
  [-115]: "AUTH_FAILED",
} as const;

export type Failure = (typeof failures)[keyof typeof failures] | "TIMEOUT" | "CLOSED" | "OTHER";

/** What a session's calls reject with. */
export class ZooKeeperError extends Error {
  static {
    this.prototype.name = "ZooKeeperError";
  }
  readonly reason: Failure;
  /** The call certainly did nothing: it was not sent, or the server refused it. */
  readonly noEffect: boolean;

  constructor(
    reason: Failure,
    message: string,
    options: { readonly noEffect?: boolean | undefined; readonly cause?: unknown } = {},
  ) {
    super(`${reason}: ${message}`, options.cause === undefined ? undefined : { cause: options.cause });
    this.reason = reason;
    this.noEffect = options.noEffect ?? false;
  }
}

/** What the server answered instead of a result. */
export function refusal(code: number, what: string): ZooKeeperError {
  const reason = Object.hasOwn(failures, code) ? failures[code as keyof typeof failures] : "OTHER";
  return new ZooKeeperError(reason, reason === "OTHER" ? `${what} (${code})` : what, { noEffect: true });
}
