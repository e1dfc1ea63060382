import type { Fault } from "../fault.js";

/** Two faults at the same time. */
export function together(one: Fault, other: Fault): Fault {
  const name = `${one.name}+${other.name}`;
  return {
    name,
    ...traitsOf([one, other]),
    async strike(scene) {
      const healOne = await one.strike(scene);
      if (!healOne) return undefined;
      const healOther = await other.strike(scene).catch(async (error: unknown) => {
        await healOne();
        throw error;
      });
      let missed = !healOther;
      const left = new Set([...(healOther ? [healOther] : []), healOne]);
      // It is called again when it fails: each is healed once, and none is left because another one cannot be.
      const heal = async (): Promise<boolean> => {
        const failures: unknown[] = [];
        for (const one of left) {
          try {
            if ((await one()) === false) missed = true;
            left.delete(one);
          } catch (error) {
            failures.push(error);
          }
        }
        if (failures.length > 0) throw failures[0];
        return !missed;
      };
      return Object.assign(heal, { what: name });
    },
  };
}

const traits = ["forgets", "losesTokens", "movesClock", "endsConnections", "keepsSessions", "outlasts"] as const;

/** Of any of them. */
function traitsOf(faults: readonly Fault[]): Omit<Fault, "name" | "strike"> {
  return Object.fromEntries(
    traits.filter((trait) => faults.some((fault) => fault[trait])).map((trait) => [trait, true]),
  );
}

/** What these do to holds and tokens is announced. */
const excused = ["forgets", "losesTokens", "endsConnections"] as const;

/** What happens to processes or links, and what happens to servers, in pairs that chance chooses; of the latter, only what excuses nothing. */
export function twoAtOnce(near: readonly Fault[], far: readonly Fault[]): readonly Fault[] {
  const pool = far.filter((fault) => !excused.some((trait) => fault[trait]));
  if (pool.length === 0) return [];
  return [
    {
      name: "two-at-once",
      ...traitsOf([...near, ...pool]),
      strike: (scene) => together(scene.random.pick(near), scene.random.pick(pool)).strike(scene),
    },
  ];
}
