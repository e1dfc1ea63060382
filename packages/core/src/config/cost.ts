import { costOf } from "../adapters.js";
import { partsOf, scheme } from "./check-config.js";
import type { Config, Member } from "./config.js";

/** Larger for slower backends; a combination is as slow as its slowest part, and a third party's comes last. */
export function costOfMember(member: Member | undefined, backends: Config["backends"]): number {
  if (member === undefined) return Number.POSITIVE_INFINITY;
  if (typeof member !== "string") {
    if ("url" in member) return "adapter" in member ? Number.POSITIVE_INFINITY : costOfMember(member.url as string, {});
    return Math.max(...partsOf(member).map((part) => costOfMember(part, backends)));
  }
  const [, name] = scheme.exec(member) ?? [];
  return name === undefined ? costOfMember(backends[member], backends) : costOf(name.toLowerCase());
}
