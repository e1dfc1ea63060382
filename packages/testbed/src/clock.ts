import { chmodSync, existsSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasApt } from "./apt.js";
import { provide } from "./provide.js";

const multiarch: Readonly<Record<string, string>> = { x64: "x86_64", arm64: "aarch64" };
const library = `/usr/lib/${multiarch[process.arch]}-linux-gnu/faketime/libfaketimeMT.so.1`;

/** The wall clock of one server, which can be moved while it runs. Its monotonic clock goes on, as it does where a clock is set. */
export class Clock {
  /** For the server's process. */
  readonly env: Readonly<Record<string, string>>;
  readonly #file: string;
  #ahead = 0;

  private constructor(file: string) {
    this.#file = file;
    this.env = {
      // Redis allocates by jemalloc, which asks for the time before the library is ready: libc, put before it, allocates too.
      LD_PRELOAD: `${library} libc.so.6`,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: "1",
      FAKETIME_DONT_FAKE_MONOTONIC: "1",
      // Its remedy for an old libc has the JVM wait too long.
      FAKETIME_FORCE_MONOTONIC_FIX: "0",
      NO_FAKE_STAT: "1",
    };
    this.#write();
  }

  /** Its setting is kept in a folder; undefined where libfaketime is not and cannot be installed. */
  static async in(folder: string): Promise<Clock | undefined> {
    if (!existsSync(library) && (!hasApt() || process.getuid?.() !== 0)) return undefined;
    await provide({ name: "libfaketime", files: [library], apt: ["libfaketime"] });
    return new Clock(join(folder, "clock"));
  }

  /** By so many ms, forward or back. */
  move(ms: number): void {
    this.#ahead += ms;
    this.#write();
  }

  /** What the library leaves of a process that was killed. */
  static traces(pid: number): readonly string[] {
    return [`/dev/shm/faketime_shm_${pid}`, `/dev/shm/sem.faketime_sem_${pid}`];
  }

  #write(): void {
    // Read at every look at the clock: never half a file.
    const draft = `${this.#file}.new`;
    writeFileSync(draft, `${this.#ahead < 0 ? "-" : "+"}${Math.abs(this.#ahead) / 1_000}\n`);
    chmodSync(draft, 0o644);
    renameSync(draft, this.#file);
  }
}
