import { openAdvisory, openForUpdate } from "./connection-provider.js";
import type { Connector } from "./connector.js";
import type { Settings, Strategy } from "./options.js";
import type { SqlProvider } from "./sql-provider.js";
import type { TableLocation } from "./table-location.js";
import { openVersion } from "./version-strategy.js";

/** What a strategy makes a provider of: options, and a way to connections of its own. */
export interface Parts extends Settings {
  readonly connector: Connector;
  readonly location: TableLocation;
}

export const strategies: Readonly<Record<Strategy, (parts: Parts) => SqlProvider>> = {
  version: openVersion,
  "for-update": openForUpdate,
  advisory: openAdvisory,
};
