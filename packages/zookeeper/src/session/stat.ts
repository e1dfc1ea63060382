import type { Stat as WireStat } from "node-zookeeper-client/lib/jute/index.js";

export interface Stat {
  /** zxid of its creation. */
  readonly czxid: bigint;
  /** zxid of its last change. */
  readonly mzxid: bigint;
  /** ms since 1970, by the leader's clock. */
  readonly ctime: number;
  readonly mtime: number;
  readonly version: number;
  /** Changes of its children. */
  readonly cversion: number;
  /** Id of the session it lives by; 0 if by none. */
  readonly ephemeralOwner: bigint;
  readonly dataLength: number;
  readonly numChildren: number;
}

export function statOf(stat: WireStat): Stat {
  const { version, cversion, dataLength, numChildren } = stat;
  return {
    czxid: stat.czxid.readBigInt64BE(0),
    mzxid: stat.mzxid.readBigInt64BE(0),
    ctime: Number(stat.ctime.readBigInt64BE(0)),
    mtime: Number(stat.mtime.readBigInt64BE(0)),
    ephemeralOwner: stat.ephemeralOwner.readBigInt64BE(0),
    version,
    cversion,
    dataLength,
    numChildren,
  };
}
