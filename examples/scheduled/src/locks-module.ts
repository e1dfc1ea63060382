import { type DynamicModule, Inject, Module, type OnApplicationShutdown } from "@nestjs/common";
import { createLocks, type Locks } from "@dlock/core";

/** What is injected: `constructor(@Inject(LOCKS) readonly locks: Locks)`. */
export const LOCKS: unique symbol = Symbol("LOCKS");

/** One `Locks` for the application, closed with it. */
@Module({})
export class LocksModule implements OnApplicationShutdown {
  readonly #locks: Locks;

  constructor(@Inject(LOCKS) locks: Locks) {
    this.#locks = locks;
  }

  /** Without a URL: `DLOCK_URL`. */
  static forRoot(url?: string): DynamicModule {
    const locks = { provide: LOCKS, useFactory: () => createLocks(url) };
    return { module: LocksModule, global: true, providers: [locks], exports: [LOCKS] };
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#locks.close({ grace: 5_000 });
  }
}
