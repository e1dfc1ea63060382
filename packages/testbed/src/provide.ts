import { existsSync } from "node:fs";
import { hasApt, installWithApt } from "./apt.js";

/** Something that Debian's packages bring, besides servers. */
export interface Provision {
  readonly name: string;
  /** By these it is known to be there. */
  readonly files: readonly string[];
  readonly apt: readonly string[];
}

/** Sees to it that something is on this machine: root on Debian or Ubuntu gets it, everybody else is told what to run. */
export async function provide({ name, files, apt }: Provision): Promise<void> {
  const missing = (): string | undefined => files.find((file) => !existsSync(file));
  const first = missing();
  if (first === undefined) return;
  const line = `apt-get install --no-install-recommends ${apt.join(" ")}`;
  if (!hasApt()) throw new Error(`${name} is taken from Debian's packages, and this is no Debian; there: ${line}`);
  if (process.getuid?.() !== 0) throw new Error(`there is no ${name} (no ${first}); run: sudo ${line}`);
  await installWithApt({ backend: name, packages: { apt } });
  if (missing() !== undefined) throw new Error(`${apt.join(" ")} brought no ${missing()}`);
}
