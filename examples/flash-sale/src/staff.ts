import { Employee } from "./employee.js";
import type { Order, Served } from "./messages.js";

/** The seller processes. When `signal` aborts, everything that waits for one of them ends. */
export class Staff {
  readonly sellers: readonly Employee[];

  constructor(count: number, stockFile: string, signal: AbortSignal) {
    this.sellers = Array.from({ length: count }, (_, n) => new Employee(`seller ${n + 1}`, stockFile));
    signal.addEventListener("abort", () => this.sellers.forEach((seller) => seller.fail(signal.reason as Error)));
  }

  async ready(): Promise<void> {
    await Promise.all(this.sellers.map((seller) => seller.ready()));
  }

  /** Serves every buyer: whichever seller is free takes the next one. */
  async serve(
    orders: readonly Order[],
    each: (served: Served) => void,
    sellers: readonly Employee[] = this.sellers,
  ): Promise<void> {
    const queue = orders.values();
    await Promise.all(
      sellers.map(async (seller) => {
        for (const order of queue) each(await seller.serve(order));
      }),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.sellers.map((seller) => seller.dismiss()));
  }
}
