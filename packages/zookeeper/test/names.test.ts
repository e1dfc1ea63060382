import { describe, expect, test } from "vitest";
import { contendersIn, isCounted } from "../src/contenders.js";
import { nodeName, offsetName } from "../src/node-name.js";

describe("the name of a key's node", () => {
  test("is the key wherever ZooKeeper takes it", () => {
    for (const key of ["stock:42", "a b", "..a", "%".replace("%", "é"), "日本", "{}", "*", "'", '"', "\\", "Zookeeper"])
      expect(nodeName(key)).toBe(key);
  });

  test("is percent-encoded where ZooKeeper does not, or means something by it", () => {
    const names = ["a/b", "/", "%", "%2F", ".", "..", "zookeeper", "\n", "\u0085", "🔒", "\ue000", "\uffff", "%offset"];
    expect(names.map(nodeName)).toMatchInlineSnapshot(`
      [
        "a%2Fb",
        "%2F",
        "%25",
        "%252F",
        "%2E",
        "%2E%2E",
        "%7Aookeeper",
        "%0A",
        "%C2%85",
        "%F0%9F%94%92",
        "%EE%80%80",
        "%EF%BF%BF",
        "%25offset",
      ]
    `);
  });

  test("tells keys apart, and can be read back", () => {
    const characters = ["/", "%", ".", "2", "F", "\0", "\u0001", "é", "\u0301", "🔒", "\ue000", "\ufff0", "z"];
    const keys = characters.flatMap((a) => characters.flatMap((b) => characters.map((c) => a + b + c)));
    expect(new Set(keys.map(nodeName)).size).toBe(keys.length);
    for (const key of [...keys, "zookeeper", ".", ".."]) expect(decodeURIComponent(nodeName(key))).toBe(key);
  });

  test("is never that of the offset", () => {
    expect(() => decodeURIComponent(offsetName)).toThrow(URIError);
  });
});

describe("the line", () => {
  const names = (children: readonly string[]) => contendersIn(children).map(({ name }) => name);

  test("is sorted by what the server counted, not by name", () => {
    expect(names(["_c_b-lock-0000000010", "_c_a-lock-0000000011", "_c_c-lock-0000000009"])).toEqual([
      "_c_c-lock-0000000009",
      "_c_b-lock-0000000010",
      "_c_a-lock-0000000011",
    ]);
  });

  test("has the sole node before all others, and those of Curator and kazoo in it", () => {
    const children = ["_c_a-__WRIT__0000000002", "0f__lock__0000000001", "lock-0000000000", "lock-"];
    expect(names(children)).toEqual(children.toReversed());
  });

  test("has a writer of Curator before the reader of the same number, which its holder is too", () => {
    const pair = ["_c_a-__READ__0000000002", "_c_a-__WRIT__0000000002"];
    expect(names(pair)).toEqual(pair.toReversed());
    expect(isCounted(contendersIn(pair))).toBe(true);
    expect(isCounted(contendersIn(["_c_a-__READ__0000000002", "_c_b-__READ__0000000002"]))).toBe(false);
  });

  test("knows readers, permits and what was downgraded, and takes all others for writers", () => {
    const of = (name: string) => {
      const { mode, limit, czxid } = contendersIn([name])[0] ?? {};
      return { mode, limit, czxid };
    };
    const writer = { mode: "exclusive", limit: 1, czxid: undefined };
    const reader = { ...writer, mode: "shared" };
    for (const name of [
      "lock-",
      "_c_a-lock-0000000001",
      "_c_a-__WRIT__0000000001",
      "0f__lock__0000000001",
      "_c_a-limit-0-lock-0000000001",
    ])
      expect(of(name)).toEqual(writer);
    for (const name of ["_c_a-__READ__0000000001", "0f__rlock__-2147483648"]) expect(of(name)).toEqual(reader);
    expect(of("_c_a-limit-12-lock--000000001")).toEqual({ ...writer, limit: 12 });
    expect(of("_c_a-8589934593-__READ__0000000001")).toEqual({ ...reader, czxid: 8_589_934_593n });
  });

  test("has nothing in it that is no lock", () => {
    expect(names(["config", "lock", "_c_a-lease-0000000000", "lock-1", "lock-00000000000", "clock"])).toEqual([]);
  });

  test("is not in order by its numbers when they are used up", () => {
    const counted = (...children: string[]) => isCounted(contendersIn(children));
    expect(counted("lock-", "a-lock-0000000000", "b-lock-2147483646")).toBe(true);
    expect(counted("a-lock-2147483646", "b-lock-2147483647")).toBe(false);
    expect(counted("a-lock-2147483647", "b-lock--2147483648")).toBe(false);
    expect(counted("a-lock--000000001", "b-lock-0000000001")).toBe(false);
    expect(counted("a-lock-0000000001", "b-lock-0000000001")).toBe(false);
    expect(contendersIn(["b-lock--2147483648", "b-lock--000000005"]).map(({ sequence }) => sequence)).toEqual([
      -2147483648, -5,
    ]);
  });
});
