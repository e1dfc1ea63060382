import { expect, test } from "vitest";
import { Fence } from "../src/fence.js";
import { look } from "../src/line.js";
import type { Session } from "../src/session.js";

test("the offset is asked for after the children: who raised it may leave the line between the two", async () => {
  const asked: string[] = [];
  // A session has private members, so that nothing else is one.
  const session = {
    getChildren: async (path: string) => (asked.push(path), { children: ["_c_a-lock-0000000001"] }),
    getData: async (path: string) => (asked.push(path), { data: Buffer.from("7"), stat: { version: 0 } }),
  } as unknown as Session;
  const { contenders, offset } = await look(session, "/lock", new Fence("/%offset", []));
  expect([contenders.length, offset]).toEqual([1, 7n]);
  expect(asked).toEqual(["/lock", "/%offset"]);
});
