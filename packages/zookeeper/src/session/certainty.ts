/** By how much two clocks may drift apart, as core counts it for leases. */
const drift = (span: number): number => span / 100 + 2;

/** The moment before something was sent. */
export interface Asked {
  /** Monotonic ms. */
  readonly at: number;
  /** The monotonic clock stands still while a machine sleeps; the leader's does not. */
  readonly sleptSince: boolean;
}

interface Touch {
  readonly asked: Asked;
  readonly answeredAt: number;
}

/**
 * Until when a session certainly lives, in monotonic ms. Only the leader ends sessions. It hears of a client's requests
 * from the client's server, every half tick, and not at all when the two are cut apart: an answer proves nothing for the
 * time to come, not even one that came from the leader. What counts is the last request that had been answered more than
 * half a tick before something was sent that went through the leader: that one was reported to it.
 */
export class Certainty {
  #from: Asked | undefined;
  #timeout = 0;
  #touches: Touch[] = [];
  readonly #tickTime: number | undefined;

  /** `tickTime` of the ensemble. Unless it is known it is half the timeout: the servers' default limits allow no more. */
  constructor(tickTime: number | undefined) {
    this.#tickTime = tickTime;
  }

  get until(): number {
    if (this.#from === undefined || this.#from.sleptSince) return Number.NEGATIVE_INFINITY;
    return this.#from.at + this.#timeout - drift(this.#timeout);
  }

  /** The leader itself began the session anew: at a connect. */
  renewed(asked: Asked, timeout: number): void {
    if (this.#from !== undefined && !this.#from.sleptSince && this.#from.at >= asked.at) return;
    this.#from = asked;
    this.#timeout = timeout;
  }

  answered(asked: Asked, answeredAt: number, timeout: number): void {
    const last = this.#touches.at(-1);
    if (last !== undefined && asked.at - last.asked.at < timeout / 50) return;
    this.#touches.push({ asked, answeredAt });
    while (this.#touches[0] !== undefined && this.#touches[0].asked.at < asked.at - timeout) this.#touches.shift();
  }

  /** What was asked then went through the leader. */
  confirmed(asked: Asked, timeout: number): void {
    // A whole tick where half of one is due: the leader may be late.
    const gap = this.#tickTime ?? timeout / 4;
    const reported = this.#touches.findLastIndex(({ answeredAt }) => answeredAt <= asked.at - gap);
    const touch = this.#touches[reported];
    if (touch !== undefined) this.renewed(touch.asked, timeout);
    this.#touches.splice(0, reported);
  }
}
