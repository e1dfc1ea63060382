import { type Harness, type LinkedPeer, type Peer, spawnHolder } from "@dlock/conformance";
import type { Guarantees } from "@dlock/core";
import { sqlProvider, type SqlOptions } from "@dlock/sql";
import type { Database, UrlLink } from "@dlock/testbed";
import createKnex from "knex";
import { aliasesOf } from "./aliases.js";

export interface Behind {
  readonly url: string;
  link(): Promise<UrlLink>;
}

export interface Terms {
  readonly name: string;
  readonly database: Database;
  /** What stands in front of it; default: nothing. */
  readonly behind?: Behind | undefined;
  readonly guarantees: Guarantees;
  readonly options: SqlOptions;
  /** Of the application whose knex is lent; default: a URL is used. */
  readonly applicationPool?: number | undefined;
}

/** Everything a server lends the laws. */
export function serverHarness(
  terms: Terms,
): Pick<Harness, "name" | "guarantees" | "open" | "openLinked" | "spawn" | "server" | "aliases"> {
  const { name, database, guarantees, options } = terms;
  const behind = terms.behind ?? database;
  const { server } = database;
  return {
    name,
    guarantees,
    aliases: aliasesOf(database, options, behind),
    open: async () => peerOf(behind.url, terms),
    openLinked: async (): Promise<LinkedPeer> => {
      const link = await behind.link();
      const peer = peerOf(link.url, terms);
      return {
        ...peer,
        link,
        close: async () => {
          await peer.close();
          await link.close();
        },
      };
    },
    spawn: () => spawnHolder(new URL("child/server-peer.mjs", import.meta.url), behind.url, JSON.stringify(options)),
    server: server && {
      restart: async ({ keepData }) => {
        // A crash forgets the releases of the last moment, whose locks then end by their ttl: elsewhere there is a test of that.
        if (keepData && database.url.startsWith("postgres")) await database.query("CHECKPOINT");
        await server.restart({ keepData });
      },
      pause: async () => {
        await server.pause();
        return () => server.resume();
      },
    },
  };
}

function peerOf(url: string, { options, applicationPool }: Terms): Peer {
  if (applicationPool === undefined) {
    const provider = sqlProvider({ url }, options);
    return { provider, close: () => provider.close() };
  }
  const client = url.startsWith("postgres") ? "pg" : "mysql2";
  const connection = url.replace(/^mariadb:/, "mysql:");
  const knex = createKnex({ client, connection, pool: { min: 0, max: applicationPool } });
  const provider = sqlProvider(knex, options);
  return {
    provider,
    close: async () => {
      await provider.close();
      await knex.destroy();
    },
  };
}
