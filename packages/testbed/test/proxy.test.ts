import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Proxy } from "@dlock/testbed";

/** A client whose received bytes can be looked at. */
class Client {
  received = "";
  closed = false;
  readonly socket: Socket;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setEncoding("utf8");
    this.socket.on("data", (text) => (this.received += String(text)));
    this.socket.on("error", () => {}).on("close", () => (this.closed = true));
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

describe("a proxy", () => {
  let server: Server;
  let proxy: Proxy;
  let heard: string;
  let ended: number;
  let clients: Client[];
  let sockets: Socket[];

  beforeEach(async () => {
    [heard, ended, clients, sockets] = ["", 0, [], []];
    server = createServer((socket) => {
      sockets.push(socket);
      socket.on("data", (data) => {
        heard += String(data);
        socket.write(`<${String(data)}>`);
      });
      socket.on("end", () => ended++).on("error", () => {});
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    proxy = await Proxy.start((server.address() as AddressInfo).port);
  });

  afterEach(async () => {
    for (const { socket } of clients) socket.destroy();
    await proxy.close();
    server.close();
  });

  async function client(): Promise<Client> {
    const one = new Client(proxy.port);
    clients.push(one);
    await once(one.socket, "connect");
    return one;
  }

  const shows = (text: string, one: Client) =>
    expect.poll(() => one.received, { timeout: 1_000, interval: 5 }).toBe(text);

  it("passes bytes and ends on, both ways", async () => {
    const one = await client();
    one.socket.write("a");
    await shows("<a>", one);
    one.socket.end("b");
    await shows("<a><b>", one);
    await expect.poll(() => [ended, one.closed]).toEqual([1, true]);
  });

  it("breaks a connection when nobody listens behind it", async () => {
    const lost = await Proxy.start(1);
    const one = new Client(lost.port);
    await expect.poll(() => one.closed).toBe(true);
    await lost.close();
  });

  it("tells nobody while replies are frozen that nobody listens", async () => {
    const lost = await Proxy.start(1);
    lost.freeze("replies");
    const one = new Client(lost.port);
    await pause(100);
    expect(one.closed).toBe(false);
    lost.heal();
    await expect.poll(() => one.closed).toBe(true);
    await lost.close();
  });

  it("freezes: nothing arrives, nobody is told, new connections hang; all of it arrives at heal", async () => {
    const [one, leaving] = [await client(), await client()];
    one.socket.write("a");
    await shows("<a>", one);
    proxy.freeze();
    one.socket.write("b");
    leaving.socket.end("c");
    leaving.socket.destroy();
    const late = await client();
    late.socket.write("d");
    await pause(100);
    expect(sockets).toHaveLength(2);
    expect([heard, ended, one.received, one.closed, late.closed, proxy.connections]).toEqual([
      "a",
      0,
      "<a>",
      false,
      false,
      3,
    ]);
    proxy.heal();
    await shows("<a><b>", one);
    await shows("<d>", late);
    await expect.poll(() => heard.split("").toSorted().join("")).toBe("abcd");
  });

  it("delivers at heal what was sent before the sender died", async () => {
    const dying = await client();
    dying.socket.write("a");
    await shows("<a>", dying);
    proxy.freeze();
    dying.socket.write("b");
    await pause(50);
    dying.socket.resetAndDestroy();
    await pause(50);
    expect([heard, proxy.connections]).toEqual(["a", 1]);
    proxy.heal();
    await expect.poll(() => heard).toBe("ab");
    await expect.poll(() => proxy.connections).toBe(0);
  });

  it("freezes one direction only", async () => {
    const one = await client();
    proxy.freeze("replies");
    one.socket.write("a");
    await expect.poll(() => heard).toBe("a");
    await pause(50);
    expect(one.received).toBe("");
    proxy.heal();
    await shows("<a>", one);
    proxy.freeze("requests");
    one.socket.write("b");
    await pause(50);
    expect(heard).toBe("a");
  });

  it("does not say that the server is gone while it is frozen", async () => {
    const one = await client();
    one.socket.write("a");
    await shows("<a>", one);
    proxy.freeze();
    for (const socket of sockets) socket.resetAndDestroy();
    await pause(50);
    expect(one.closed).toBe(false);
    proxy.heal();
    await expect.poll(() => one.closed).toBe(true);
  });

  it("cuts: connections break and new ones are refused until heal", async () => {
    const one = await client();
    one.socket.write("a");
    await shows("<a>", one);
    proxy.cut();
    await expect.poll(() => one.closed).toBe(true);
    const refused = new Client(proxy.port);
    await expect(once(refused.socket, "connect")).rejects.toThrow("ECONNREFUSED");
    proxy.heal();
    const again = await client();
    again.socket.write("b");
    await shows("<b>", again);
  });

  it("delays each direction, keeps the order, and does not add up", async () => {
    const one = await client();
    proxy.delay(100);
    const since = performance.now();
    for (const letter of "abcdefgh") {
      one.socket.write(letter);
      await pause(10);
    }
    await expect.poll(() => one.received.replaceAll(/[<>]/g, ""), { interval: 2 }).toBe("abcdefgh");
    const took = performance.now() - since;
    expect(took).toBeGreaterThan(250);
    expect(took).toBeLessThan(900);
    proxy.heal();
    proxy.delay(100, "replies");
    const again = performance.now();
    one.socket.write("!");
    await expect.poll(() => heard.endsWith("!"), { interval: 2 }).toBe(true);
    expect(one.received.endsWith("<!>")).toBe(false);
    await expect.poll(() => one.received.endsWith("<!>"), { interval: 2 }).toBe(true);
    expect(performance.now() - again).toBeGreaterThan(95);
  });

  it("drops replies: requests arrive, and a connection that missed something breaks at heal", async () => {
    const [one, idle] = [await client(), await client()];
    proxy.dropReplies();
    one.socket.write("a");
    await expect.poll(() => heard).toBe("a");
    await pause(50);
    expect([one.received, one.closed]).toEqual(["", false]);
    proxy.heal();
    await expect.poll(() => one.closed).toBe(true);
    idle.socket.write("b");
    await shows("<b>", idle);
  });

  it("truncates the next reply of every connection, and only those", async () => {
    const [one, other] = [await client(), await client()];
    proxy.truncate();
    one.socket.write("abcd");
    await expect.poll(() => one.closed).toBe(true);
    expect(one.received).toBe("<ab");
    const again = await client();
    again.socket.write("e");
    await shows("<e>", again);
    other.socket.write("f");
    await expect.poll(() => other.closed).toBe(true);
    expect(other.received).toBe("<f");
  });

  it("asks a server that refuses for as long as it has patience, and keeps what is said meanwhile", async () => {
    const { port } = server.address() as AddressInfo;
    const patient = await Proxy.start(port, "127.0.0.1", { patience: 5_000 });
    server.close();
    const one = new Client(patient.port);
    clients.push(one);
    one.socket.write("a");
    await pause(100);
    expect(one.closed).toBe(false);
    server.listen(port, "127.0.0.1");
    await shows("<a>", one);
    await patient.close();
    const impatient = await Proxy.start(1, "127.0.0.1", { patience: 100 });
    const other = new Client(impatient.port);
    await expect.poll(() => other.closed).toBe(true);
    await impatient.close();
  });

  it.each([
    ["freezes", () => proxy.freeze()],
    ["freezes replies", () => proxy.freeze("replies")],
    ["cuts", () => proxy.cut()],
    ["delays", () => proxy.delay(1)],
    ["drops replies", () => proxy.dropReplies()],
    ["truncates", () => proxy.truncate()],
  ])("counts what it touches when it %s, and nothing else", async (_, disturb) => {
    const one = await client();
    one.socket.write("a");
    await shows("<a>", one);
    expect(proxy.touched).toBe(0);
    disturb();
    one.socket.write("b");
    await expect.poll(() => proxy.touched).toBeGreaterThan(0);
    proxy.heal();
  });

  it("has touched nothing where nobody spoke, and somebody who connected to a frozen one", async () => {
    proxy.freeze();
    expect(proxy.touched).toBe(0);
    clients.push(new Client(proxy.port));
    await expect.poll(() => proxy.touched).toBe(1);
  });

  it("can have a server hear something else first, and only first", async () => {
    const greet = (first: Buffer) => Buffer.from(String(first).toUpperCase());
    const greeting = await Proxy.start((server.address() as AddressInfo).port, "127.0.0.1", { greet });
    const one = new Client(greeting.port);
    clients.push(one);
    one.socket.write("a");
    await shows("<A>", one);
    one.socket.write("b");
    await shows("<A><b>", one);
    await greeting.close();
  });
});
