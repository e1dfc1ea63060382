import { sqlProvider } from "@dlock/sql";

/** What the suite's holder process opens. */
export async function open(filename) {
  const provider = sqlProvider({ filename }, { strategy: "version" });
  return { provider, close: () => provider.close() };
}
