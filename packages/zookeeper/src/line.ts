import { contendersIn, type Contender, isCounted, soleName } from "./contenders.js";
import type { Fence } from "./fence.js";
import type { Session, Stat } from "./session.js";

/** What was in one lock's node, and the offset of the fencing tokens, read in this order. */
export interface Sight {
  readonly contenders: readonly Contender[];
  readonly offset: bigint | undefined;
}

/** Sent before anything that is asked for later in this turn. The offset comes last: who raised it while it held is gone from the line only afterwards. */
export async function look(session: Session, parent: string, fence: Fence): Promise<Sight> {
  const [{ children }, offset] = await Promise.all([session.getChildren(parent), fence.read(session)]);
  return { contenders: contendersIn(children), offset };
}

/** First come, first served: by sequence while that tells, else by the transaction that made the node. */
export async function inOrder(
  session: Session,
  parent: string,
  contenders: readonly Contender[],
): Promise<readonly Contender[]> {
  if (isCounted(contenders)) return contenders;
  const stats = await Promise.all(contenders.map(({ name }) => session.exists(`${parent}/${name}`)));
  const age = ({ name, czxid }: Contender, stat: Stat | undefined) =>
    stat && (name === soleName ? 0n : (czxid ?? stat.czxid));
  const ages = new Map(contenders.map((contender, place) => [contender.name, age(contender, stats[place])]));
  return contenders
    .filter(({ name }) => ages.get(name) !== undefined)
    .toSorted((one, other) => ((ages.get(one.name) ?? 0n) < (ages.get(other.name) ?? 0n) ? -1 : 1));
}
