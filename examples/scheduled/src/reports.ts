import { Inject, Injectable } from "@nestjs/common";
import type { Locks } from "@dlock/core";
import { LOCKS } from "./locks-module.js";
import { OncePerTick } from "./once-per-tick.js";

/** A service whose copies all wake at the same time. */
@Injectable()
export class Reports {
  readonly locks: Locks;
  readonly sent: string[] = [];

  constructor(@Inject(LOCKS) locks: Locks) {
    this.locks = locks;
  }

  // With @nestjs/schedule: @Cron("0 3 * * *") comes below this line.
  @OncePerTick("reports", { every: 86_400_000, atLeast: 60_000 })
  async send(day: string): Promise<string | undefined> {
    this.sent.push(day);
    return `sent ${day}`;
  }
}
