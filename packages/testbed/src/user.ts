import { spawnSync } from "node:child_process";

export interface User {
  readonly uid: number;
  readonly gid: number;
}

/** The first of these that exists. */
export function unprivileged(names: readonly string[]): User {
  for (const name of names) {
    const [uid, gid] = ["-u", "-g"]
      .map((flag) => spawnSync("id", [flag, name], { encoding: "utf8" }))
      .map((id) => (id.status === 0 ? Number(id.stdout) : 0));
    if (uid && gid) return { uid, gid };
  }
  throw new Error(`servers are not run as root, and there is none of the users ${names.join(", ")}`);
}
