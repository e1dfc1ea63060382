type Ask = (sql: string) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/**
 * Rows that still name somebody: leases that were not given up, also when their time is over, for every key was taken
 * and given up once more when all had gone; and those who share one, or wait to, for as long as their time is not over. `now` as in those tables.
 * Free leases stay for a day, so that their tokens go on from there, and so do the rows of readers that died.
 */
export async function sqlResidue(ask: Ask, tables: string, now: string): Promise<readonly string[]> {
  const names = (await ask(tables)).map(({ name }) => String(name));
  const looks = names.map(async (name) => {
    const due = name.endsWith("_leases")
      ? "claim <> '' and expires > 0"
      : name.endsWith("_holders")
        ? `expires > ${now}`
        : "";
    if (due === "") return [];
    const rows = await ask(`select claim, owner, expires - ${now} as remaining from ${name} where ${due}`);
    return rows.map(
      ({ claim, owner, remaining }) => `${name}: ${String(claim)} of ${String(owner)}, ${String(remaining)} left`,
    );
  });
  return (await Promise.all(looks)).flat();
}
