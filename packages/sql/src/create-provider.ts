import { checkFields, mergeOptions, type ProviderContext, type ProviderEntry } from "@dlock/core";
import { optionFields, type SqlOptions } from "./options.js";
import { type SqlProvider, serverProvider, sqliteProvider } from "./sql-provider.js";
import { parseUrl } from "./url.js";

/** The locks of a `sqlite:`, `postgres:`, `mysql:` or `mariadb:` URL. Options may be in its query or beside it in the entry. */
export function createProvider(entry: ProviderEntry, context: ProviderContext): SqlProvider {
  const { url, ...beside } = entry;
  const named = parseUrl(url);
  const fields = "filename" in named ? ["strategy", "table", "driver", "schema"] : optionFields;
  checkFields("url", named.query, fields);
  checkFields("entry", beside, fields);
  // Checked for what they are where they are used.
  const { driver, ...options } = mergeOptions(named.query, beside) as SqlOptions & { readonly driver?: never };
  const emit: ProviderContext["emit"] = (notice) => context.emit(notice);
  if ("filename" in named) return sqliteProvider("url", { filename: named.filename, driver }, { ...options, emit });
  return serverProvider("url", named.url, { ...options, emit });
}
