import { createClient, CreateMode, Exception } from "node-zookeeper-client";
import type { Client } from "node-zookeeper-client";
import { within } from "./until.js";
import { say } from "./zookeeper-words.js";

/** The tree, seen and changed from the side: every call is a session of its own, as super user where the server was started here. */
export class ZooKeeperLook {
  readonly #host: string;
  readonly #port: number;

  constructor(host: string, port: number) {
    this.#host = host;
    this.#port = port;
  }

  /** All nodes below, in order, without the server's own. */
  paths(below: string = "/"): Promise<readonly string[]> {
    return this.#session(async (client) => (await walk(client, below)).toSorted());
  }

  /** What is in a node. */
  data(path: string): Promise<string> {
    return this.#session(async (client) =>
      ((await call<Buffer | undefined>((done) => client.getData(path, done))) ?? "").toString(),
    );
  }

  /** Makes a node that stays, and its parents; gives its path, which differs when it is sequential. */
  create(path: string, data: string = "", { sequential = false }: { sequential?: boolean } = {}): Promise<string> {
    const mode = sequential ? CreateMode.PERSISTENT_SEQUENTIAL : CreateMode.PERSISTENT;
    return this.#session(async (client) => {
      const parent = path.slice(0, path.lastIndexOf("/"));
      if (parent) await call((done) => client.mkdirp(parent, done));
      return call<string>((done) => client.create(path, Buffer.from(data), mode, done));
    });
  }

  setData(path: string, data: string): Promise<void> {
    return this.#session(async (client) => {
      await call((done) => client.setData(path, Buffer.from(data), done));
    });
  }

  /** What the leader's wall clock shows, in ms since 1970: it is in what a write leaves. */
  clock(): Promise<number> {
    return this.#session(async (client) => {
      const { mtime } = await call<{ readonly mtime: Buffer }>((done) => client.setData("/", Buffer.alloc(0), done));
      return Number(mtime.readBigInt64BE());
    });
  }

  /** Removes a node and all below. */
  remove(path: string): Promise<void> {
    return this.#session(async (client) => {
      for (const each of (await walk(client, path)).toReversed()) await call((done) => client.remove(each, done));
      await call((done) => client.remove(path, done));
    });
  }

  async #session<Value>(work: (client: Client) => Promise<Value>): Promise<Value> {
    const said = await say("srvr", this.#port, this.#host);
    // Checked first: this client neither gives up nor can be closed while it has no session.
    if (!said.includes("Mode: ")) throw new Error(`${this.#host}:${this.#port} serves nobody: ${said.trim()}`);
    const client = createClient(`${this.#host}:${this.#port}`, { sessionTimeout: 10_000, retries: 0 });
    client.addAuthInfo("digest", Buffer.from("super:dlock"));
    await happening(client, "connected");
    try {
      return await within(10_000, work(client), `a look at ${this.#host}:${this.#port}`);
    } finally {
      await happening(client, "disconnected");
    }
  }
}

/** All below, parents before their children. */
async function walk(client: Client, path: string): Promise<readonly string[]> {
  const names = await call<readonly string[]>((done) => client.getChildren(path, done));
  const children = names.map((name) => (path === "/" ? `/${name}` : `${path}/${name}`));
  const own = children.filter((child) => child !== "/zookeeper");
  return (await Promise.all(own.map((child) => whole(client, child)))).flat();
}

/** A node and all below, or nothing where it has gone meanwhile. */
async function whole(client: Client, path: string): Promise<readonly string[]> {
  try {
    return [path, ...(await walk(client, path))];
  } catch (error) {
    if ((error as Partial<Exception>).code !== Exception.NO_NODE) throw error;
    return [];
  }
}

/** Has it connect or disconnect. */
async function happening(client: Client, event: "connected" | "disconnected"): Promise<void> {
  const happened = new Promise<void>((resolve) => client.once(event, resolve));
  if (event === "connected") client.connect();
  else client.close();
  await within(5_000, happened, `being ${event}`);
}

type Done = (error: Error | Exception | null, value?: unknown) => void;

function call<Value>(start: (done: Done) => void): Promise<Value> {
  return new Promise((resolve, reject) =>
    // Its exceptions are errors, which its types do not say.
    start((error, value) => (error ? reject(error as Error) : resolve(value as Value))),
  );
}
