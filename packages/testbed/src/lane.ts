import type { Socket } from "node:net";
import type { Direction } from "./link.js";
import type { Weather } from "./proxy.js";

/** What one side said: some bytes, that it has no more to say, that it is gone. */
type Event = { readonly data: Buffer } | "end" | "close";

/** One direction of one connection. */
export class Lane {
  readonly #direction: Direction;
  readonly #to: Socket;
  readonly #weather: Weather;
  readonly #deliver: (data: Buffer) => void;
  /** In order. Read at once and held here, as what is on its way is held by no side: also what somebody said who has died since. */
  readonly #held: { readonly event: Event; readonly due: number }[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(direction: Direction, from: Socket, to: Socket, weather: Weather, deliver: (data: Buffer) => void) {
    this.#direction = direction;
    this.#to = to;
    this.#weather = weather;
    this.#deliver = deliver;
    from.on("data", (data) => this.#hold({ data }));
    from.once("end", () => this.#hold("end"));
    from.once("close", () => this.#hold("close"));
  }

  /** Lets pass what may pass. */
  pass(): void {
    clearTimeout(this.#timer);
    while (!this.#weather.frozen[this.#direction]) {
      const [first] = this.#held;
      if (!first) return;
      const early = first.due - performance.now();
      if (early > 0) {
        this.#timer = setTimeout(() => this.pass(), Math.ceil(early));
        return;
      }
      this.#held.shift();
      if (first.event === "end") this.#to.end();
      else if (first.event === "close") this.#to.destroySoon();
      else this.#deliver(first.event.data);
    }
  }

  #hold(event: Event): void {
    const delay = this.#weather.delay[this.#direction];
    if (delay > 0 || this.#weather.frozen[this.#direction]) this.#weather.touched += 1;
    this.#held.push({ event, due: performance.now() + delay });
    this.pass();
  }
}
