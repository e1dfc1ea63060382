export type Direction = "requests" | "replies";

/** The way to a server, which can be disturbed; existing and new connections alike. */
export interface Link {
  readonly port: number;
  /** How much of what was said and who connected was held back, delayed, lost or broken off so far. */
  readonly touched: number;
  /** Nothing arrives any more and nobody is told: sockets stay open, new connections are accepted and hang. What was sent arrives after `heal`. */
  freeze(direction?: Direction): void;
  /** Every connection breaks, new ones are refused. */
  cut(): void;
  /** Each direction (or the one) takes `ms` longer. */
  delay(ms: number, direction?: Direction): void;
  /** Requests arrive, replies vanish; a connection that lost some of them breaks at `heal`, since a stream has no holes. */
  dropReplies(): void;
  /** On every connection that is open now, the next reply stops in the middle and the connection breaks. */
  truncate(): void;
  /** As it was before; what was held back arrives. */
  heal(): void;
}

/** A link that reads what is said on it. */
export interface ReadingLink extends Link {
  /** The server gets the next request that matches, and the connection breaks before its answer arrives. Resolves when that has happened. */
  cutAnswer(to: RegExp): Promise<void>;
}
