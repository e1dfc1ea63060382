import jute, { type Record, type Request } from "node-zookeeper-client/lib/jute/index.js";
import { measure } from "./measure.js";

/** What is asked of the server. */
export interface Operation {
  readonly name: string;
  readonly code: number;
  /** The code under which the client knows an answer of this form: it lacks some operations. */
  readonly readAs: number;
  readonly payload: { byteLength(): number };
  /** Whether the leader takes part in it, which proves that the session is alive there. */
  readonly throughLeader: boolean;
}

/** perms: the sum of READ 1, WRITE 2, CREATE 4, DELETE 8, ADMIN 16. */
export interface Acl {
  readonly perms: number;
  readonly scheme: string;
  readonly id: string;
}

export type NodeKind = "persistent" | "sequential" | "ephemeral" | "ephemeral-sequential" | "container";

const { protocol, data } = jute;

const codes = {
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  sync: 9,
  getChildren: 12,
  check: 13,
  multi: 14,
};
/** A container needs its own: made by `create`, it would never be cleaned up and would corrupt the digest of the log. */
const createContainer = 19;
const failed = -1;
const flags = { persistent: 0, ephemeral: 1, sequential: 2, "ephemeral-sequential": 3, container: 4 } as const;
const anybody: readonly Acl[] = [{ perms: 31, scheme: "world", id: "anyone" }];

export function create(path: string, bytes: Uint8Array, kind: NodeKind, acl: readonly Acl[] = anybody): Operation {
  const rights = acl.map(recordOf);
  const payload = record("CreateRequest", path, Buffer.from(bytes), rights, flags[kind]);
  const code = kind === "container" ? createContainer : codes.create;
  return { name: `create ${path}`, code, readAs: codes.create, payload, throughLeader: true };
}

export function remove(path: string, version: number): Operation {
  return operation("delete", path, record("DeleteRequest", path, version), true);
}

export function exists(path: string): Operation {
  return operation("exists", path, record("ExistsRequest", path, false));
}

export function getData(path: string, watch: boolean): Operation {
  return operation("getData", path, record("GetDataRequest", path, watch));
}

export function getChildren(path: string, watch: boolean): Operation {
  return operation("getChildren", path, record("GetChildren2Request", path, watch));
}

export function setData(path: string, bytes: Uint8Array, version: number): Operation {
  return operation("setData", path, record("SetDataRequest", path, Buffer.from(bytes), version), true);
}

/** The client knows no answer to it, but deletion's has the same form for it: none. Its request is that of getACL. */
export function sync(path: string): Operation {
  return { ...operation("sync", path, record("GetACLRequest", path)), readAs: codes.delete };
}

/** Checks, all or nothing, that the nodes exist. */
export function check(paths: readonly string[]): Operation {
  // Not by the client's builder of transactions: it takes version 0 for any.
  const payload = new jute.TransactionRequest(paths.map((path) => ({ type: codes.check, path, version: -1 })));
  return { name: "multi", code: codes.multi, readAs: codes.multi, payload, throughLeader: true };
}

/** Both, or neither: deletes the one node, and makes the other, which is ephemeral. */
export function replace(path: string, by: string, bytes: Uint8Array, acl: readonly Acl[]): Operation {
  const payload = new jute.TransactionRequest([
    { type: codes.delete, path, version: -1 },
    {
      type: codes.create,
      path: by,
      data: Buffer.from(bytes),
      acls: acl.map((right) => ({ toRecord: () => recordOf(right) })),
      mode: flags.ephemeral,
    },
  ]);
  return { name: `replace ${path}`, code: codes.multi, readAs: codes.multi, payload, throughLeader: true };
}

/** For one use: the client writes into it. */
export function toRequest({ code, readAs, payload }: Operation): Request {
  return new (class extends jute.Request {
    override toBuffer(): Buffer {
      this.header.type = code;
      const bytes = super.toBuffer();
      this.header.type = readAs;
      return bytes;
    }
  })(new jute.protocol.RequestHeader(0, readAs), payload);
}

const answers = new Map<number, string>([
  [codes.create, "CreateResponse"],
  [codes.exists, "ExistsResponse"],
  [codes.getData, "GetDataResponse"],
  [codes.setData, "SetDataResponse"],
  [codes.getChildren, "GetChildren2Response"],
]);

/** Throws unless the client can read the answer to `code` that begins at `offset`. */
export function measureAnswer(code: number, frame: Buffer, offset: number): void {
  const answer = answers.get(code);
  if (answer !== undefined) measure(answer, frame, offset);
  else if (code === codes.multi) measureResults(frame, offset);
}

function measureResults(frame: Buffer, offset: number): void {
  for (;;) {
    const [type, done] = [frame.readInt32BE(offset), frame.readUInt8(offset + 4) === 1];
    offset = measure("MultiHeader", frame, offset);
    if (done) return;
    if (type === failed) offset = measure("ErrorResponse", frame, offset);
    else if (type === codes.create) offset = measure("CreateResponse", frame, offset);
    else if (type !== codes.check && type !== codes.delete) throw new RangeError(`a result of type ${type}`);
  }
}

function recordOf({ perms, scheme, id }: Acl): Record {
  return new data.ACL(perms, new data.Id(scheme, id));
}

function operation(name: keyof typeof codes, path: string, payload: Operation["payload"], throughLeader = false) {
  return { name: `${name} ${path}`, code: codes[name], readAs: codes[name], payload, throughLeader };
}

function record(name: string, ...values: readonly unknown[]): Operation["payload"] {
  const Class = protocol[name];
  if (Class === undefined) throw new TypeError(`no record ${name}`);
  return new Class(...values);
}
