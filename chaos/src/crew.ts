import { watch } from "@dlock/testbed";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import type { Blow, Brief, Order, Report } from "./brief.js";
import { type Event, now } from "./event.js";
import type { Registers } from "./register.js";

const program = new URL("worker.js", import.meta.url);
/** ms within which a worker that closed its locks has to come to its end by itself. */
const patience = 5_000;

/** A worker process, as it looks from outside. */
export class Member {
  readonly #child: ChildProcess;
  readonly #gone: Promise<unknown>;
  readonly #proc: string;
  readonly #record: (event: Event) => void;
  #struck: () => void = () => {};
  #left = false;
  /** It was killed on purpose. */
  #killed = false;

  private constructor(brief: Brief, registers: Registers, record: (event: Event) => void) {
    this.#proc = brief.proc;
    this.#record = record;
    this.#child = fork(program, [JSON.stringify(brief)], { execArgv: [] });
    // One that is stopped would not notice that its parent is gone.
    const { pid } = this.#child;
    const forget = pid === undefined ? () => {} : watch({ kind: "process", pid });
    this.#gone = once(this.#child, "exit").then(([code, signal]) => {
      forget();
      if (code === 0 || this.#killed) return;
      record({ ts: now(), proc: brief.proc, op: "end", how: "crashed", why: String(code ?? signal) });
    });
    this.#child.on("message", (report: Report) => {
      if (report.report === "struck") this.#struck();
      if (report.report === "read") registers.read(report.hold);
      if (report.report === "left") this.#left = true;
      if (report.report !== "write") return;
      const { register, hold, key, token, id } = report;
      this.#tell({ order: "took", id, accepted: registers.take({ register, hold, key, token }) });
    });
  }

  static async start(brief: Brief, registers: Registers, record: (event: Event) => void): Promise<Member> {
    const member = new Member(brief, registers, record);
    await Promise.race([once(member.#child, "message"), member.#gone]);
    return member;
  }

  /** Resolves with whether it had a hold, or waited, and struck itself. */
  async strike(target: "holder" | "waiter", blow: Blow): Promise<boolean> {
    const struck = new Promise<boolean>((resolve) => (this.#struck = () => resolve(true)));
    this.#killed ||= blow.how === "kill";
    this.#tell({ order: "strike", target, blow });
    if (await Promise.race([struck, sleep(3_000, false, { ref: false })])) return true;
    this.#tell({ order: "spare" });
    // It may have begun all the same.
    this.#struck = () => setTimeout(() => this.continue(), 50);
    return false;
  }

  get isGone(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  /** SIGKILL, whatever it does at the moment. */
  kill(): void {
    this.#killed = true;
    this.#child.kill("SIGKILL");
    this.#record({ ts: now(), proc: this.#proc, op: "end", how: "killed" });
  }

  continue(): void {
    this.#child.kill("SIGCONT");
  }

  /** Resolves when it is gone. */
  async gone(): Promise<void> {
    await this.#gone;
  }

  /** In order; resolves with whether it came to its end by itself. */
  async leave(): Promise<boolean> {
    if (this.isGone) return true;
    this.#tell({ order: "leave" });
    const ended = await Promise.race([this.#gone.then(() => true), this.#stuck()]);
    if (!ended) {
      this.#killed = true;
      this.#child.kill("SIGKILL");
      await this.#gone;
    }
    return ended;
  }

  /** Its sections may take their time; once it has left, its end must not. */
  async #stuck(): Promise<false> {
    const latest = now() + 60_000;
    while (!this.#left && now() < latest) await sleep(50, undefined, { ref: false });
    return sleep(patience, false, { ref: false });
  }

  #tell(order: Order): void {
    if (this.#child.connected) this.#child.send(order, () => {});
  }
}

/** All workers. One that was killed is replaced. */
export class Crew {
  readonly #hire: (place: number) => Promise<Member>;
  readonly #members: Member[] = [];

  private constructor(hire: (place: number) => Promise<Member>) {
    this.#hire = hire;
  }

  static async of(size: number, hire: (place: number) => Promise<Member>): Promise<Crew> {
    const crew = new Crew(hire);
    crew.#members.push(...(await Promise.all(Array.from({ length: size }, (_, place) => hire(place)))));
    return crew;
  }

  get members(): readonly Member[] {
    return this.#members;
  }

  async replace(member: Member): Promise<void> {
    await member.gone();
    const place = this.#members.indexOf(member);
    // Done already: two faults may have ended it.
    if (place < 0) return;
    this.#members[place] = await this.#hire(place);
  }

  /** Resolves with how many did not come to their end by themselves. */
  async leave(): Promise<number> {
    const ended = await Promise.all(this.#members.map((member) => member.leave()));
    return ended.filter((one) => !one).length;
  }
}
