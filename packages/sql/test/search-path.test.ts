import { LockConfigError } from "@dlock/core";
import { expect, test } from "vitest";
import { chooseSchema, schemasOf } from "../src/search-path.js";

test.each([
  ['"$user", public', ["$user", "public"]],
  ["", []],
  ['""', [""]],
  ["Tenant_A,b", ["tenant_a", "b"]],
  ['"Tenant A", "o""dd, name" ,c', ["Tenant A", 'o"dd, name', "c"]],
])("the search path %s is %j", (path, schemas) => {
  expect(schemasOf(path)).toEqual(schemas);
});

/** Schemas of a database; those with a star have the table. */
function choose(path: string, schemas: string, role = "me") {
  const found = new Map(
    schemas.split(" ").map((name) => [name.replace("*", ""), { hasTable: name.endsWith("*") }] as const),
  );
  return chooseSchema({ table: "t", path: schemasOf(path), roles: [role], found });
}

test.each([
  ['"$user", public', "public", "public", false],
  ['"$user", public', "me public", "public", false],
  ["nowhere, b, public", "b public", "b", false],
  ["a, public", "a public*", "public", true],
  ["a, a, public", "a* public", "a", true],
  ['"$user", me, public', "me* public", "me", true],
  // Nobody else finds what is in these.
  ["pg_temp, public", "pg_temp_3* pg_temp public", "public", false],
  ["pg_catalog, public", "pg_catalog public", "public", false],
  // Made by somebody on purpose: without a look at it this one could be stopped by anybody.
  ["public", "public* other*", "public", true],
])("by %s in a database with %s it is %s", (path, schemas, schema, exists) => {
  expect(choose(path, schemas)).toEqual({ schema, exists });
});

test.each([
  ['"$user", public', "me* public", /schema=me, if the table "t" there is meant/],
  ['"$user", public', "me* public*", /one of (me, public|public, me)/],
  ["a, b", "a* b*", /one of a, b/],
  ["a", "a b* c*", /with b, c, where a table "t" is .*\(a\).*with a for locks apart/],
  ['"$user"', "me public", /no schema of the search_path \(\$user\) exists/],
  ["", "public", /no schema of the search_path \(\)/],
])("by %s in a database with %s it is refused", (path, schemas, why) => {
  expect(() => choose(path, schemas)).toThrow(LockConfigError);
  expect(() => choose(path, schemas)).toThrow(why);
});
