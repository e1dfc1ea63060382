import { connect } from "node:net";
import type { Socket } from "node:net";
import { Lane } from "./lane.js";
import type { Target, Weather } from "./proxy.js";

/** One client's connection through a proxy. */
export class Connection {
  /** Both ends are closed. */
  readonly gone: Promise<void>;
  readonly #client: Socket;
  readonly #target: Target;
  readonly #weather: Weather;
  #upstream: Socket | undefined;
  #lanes: readonly Lane[] = [];
  #truncating = false;
  #torn = false;
  #greeted = false;
  /** Called instead of passing the next reply on. */
  #cut: (() => void) | undefined;
  #refused = false;

  constructor(client: Socket, target: Target, weather: Weather) {
    this.#client = client;
    this.#target = target;
    this.#weather = weather;
    this.gone = closed(client).then(() => this.#upstream && closed(this.#upstream));
    client.on("error", () => {});
    if (weather.frozen.requests) weather.touched += 1;
    this.notice();
  }

  /** Replies are missing. */
  get torn(): boolean {
    return this.#torn;
  }

  truncate(): void {
    this.#truncating = true;
  }

  /** The weather has changed. */
  notice(): void {
    // A connection that was made into a frozen link reaches the server when the link thaws.
    if (!this.#upstream && !this.#weather.frozen.requests) this.#open();
    for (const lane of this.#lanes) lane.pass();
    // That nobody listens is an answer too.
    if (this.#refused && !this.#weather.frozen.replies) this.break();
  }

  break(): void {
    this.#client.destroy();
    this.#upstream?.destroy();
  }

  #open(until: number = performance.now() + (this.#target.terms?.patience ?? 0)): void {
    const { port, host } = this.#target;
    const upstream = connect({ port, host, allowHalfOpen: true, noDelay: true });
    this.#upstream = upstream;
    const refused = (): void => {
      this.#refused = performance.now() >= until || this.#client.destroyed;
      if (this.#refused) this.notice();
      else setTimeout(() => this.#open(until), 20);
    };
    upstream
      .on("error", () => {})
      .once("close", refused)
      .once("connect", () => {
        upstream.off("close", refused);
        this.#join(upstream);
      });
  }

  #join(upstream: Socket): void {
    this.#lanes = [
      new Lane("requests", this.#client, upstream, this.#weather, (data) => this.#request(data, upstream)),
      new Lane("replies", upstream, this.#client, this.#weather, (data) => this.#reply(data)),
    ];
    // Not read until now: accepted paused.
    this.#client.resume();
  }

  #request(data: Buffer, upstream: Socket): void {
    const { doomed } = this.#weather;
    if (doomed?.to.test(data.toString("latin1"))) {
      this.#weather.doomed = undefined;
      this.#cut = () => doomed.cut();
    }
    const greet = this.#greeted ? undefined : this.#target.terms?.greet;
    upstream.write(greet ? greet(data) : data);
    this.#greeted = true;
  }

  #reply(data: Buffer): void {
    if (this.#weather.dropping || this.#truncating || this.#cut) this.#weather.touched += 1;
    if (this.#cut) {
      this.break();
      this.#cut();
    } else if (this.#weather.dropping) {
      this.#torn = true;
    } else if (this.#truncating) {
      this.#client.end(data.subarray(0, Math.ceil(data.length / 2)), () => this.break());
    } else {
      this.#client.write(data);
    }
  }
}

function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });
}
