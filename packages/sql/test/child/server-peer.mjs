import { sqlProvider } from "@dlock/sql";

/** What a spawned holder opens: locks of its own at the URL. */
export async function open(url, options) {
  const provider = sqlProvider({ url }, JSON.parse(options));
  return { provider, close: () => provider.close() };
}
