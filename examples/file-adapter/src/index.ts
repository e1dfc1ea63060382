import { checkFields, LockConfigError, type LockProvider, type ProviderEntry, requireModes } from "@dlock/core";
import { FileClaim } from "./file-claim.js";

const guarantees: LockProvider["guarantees"] = {
  exclusion: "host",
  failover: "none",
  fencing: "best-effort",
  alive: "lease",
  order: "none",
  waiting: "poll",
  modes: ["exclusive"],
};

/** Locks in a folder: `{ "url": "file:./locks", "adapter": "dlock-file" }`. What dlock calls an adapter is this one function. */
export function createProvider(entry: ProviderEntry): LockProvider {
  checkFields("entry", entry, ["url"]);
  const folder = /^file:(.+)$/i.exec(entry.url)?.[1];
  if (folder === undefined) throw new LockConfigError("url", entry.url, "file: and the path of a folder");
  return {
    guarantees,
    claim(request) {
      requireModes(guarantees, request);
      return new FileClaim(folder, request);
    },
  };
}
