import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";

const jars = [
  "curator-recipes",
  "curator-framework",
  "curator-client",
  "zookeeper",
  "zookeeper-jute",
  "guava",
  "slf4j-api",
  "slf4j-nop",
].map((name) => `/usr/share/java/${name}.jar`);

/** Apache Curator and what runs it, from Debian's packages. */
export const curator = {
  name: "Apache Curator",
  files: [...jars, "/usr/bin/javac"],
  apt: ["libcurator-recipes-java", "libcurator-framework-java", "libcurator-client-java", "default-jdk-headless"],
};

/** One critical section, in ns of the clock that all processes of a machine share. */
export interface Section {
  readonly side: Side;
  readonly from: bigint;
  readonly to: bigint;
  /** What the counter said. */
  readonly found: number;
}

export type Side = "curator" | "dlock" | "dlock without a line";

/** A process that takes locks. */
export class Contender {
  readonly side: Side;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #stderr = "";
  #heard: () => void = () => {};
  #ended = false;

  /** `args` as contender.mjs takes them. */
  constructor(side: Side, args: readonly string[]) {
    this.side = side;
    const program =
      side === "curator"
        ? ["/usr/bin/java", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-cp", jars.join(":"), "Contender.java"]
        : [process.execPath, "contender.mjs"];
    const [command = "", ...rest] = [...program, ...args];
    const child = spawn(command, rest, { cwd: import.meta.dirname });
    this.#child = child;
    createInterface({ input: child.stdout }).on("line", (line) => {
      this.#lines.push(line);
      this.#heard();
    });
    child.stderr.on("data", (text) => (this.#stderr += String(text)));
    child.stdin.on("error", () => {});
    child.once("close", () => {
      this.#ended = true;
      this.#heard();
    });
  }

  /** Resolves with the first line that begins with `word`. */
  async said(word: string): Promise<string> {
    for (;;) {
      const line = this.#lines.find((said) => said.startsWith(word));
      if (line !== undefined) return line;
      if (this.#ended) throw new Error(`${this.side} ended without saying ${word}:\n${this.#stderr}`);
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
  }

  begin(): void {
    this.#child.stdin?.write("\n");
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  get sections(): readonly Section[] {
    return this.#lines
      .map((line) => line.split(" "))
      .filter(([word]) => word === "section")
      .map(([, from = "", to = "", found]) => ({
        side: this.side,
        from: BigInt(from),
        to: BigInt(to),
        found: Number(found),
      }));
  }
}
