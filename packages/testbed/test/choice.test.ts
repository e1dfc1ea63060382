import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { isSelected, selectedBackends } from "@dlock/testbed";
import { software } from "../src/backend.js";
import { chooseEngine } from "../src/engine.js";
import { findLocal } from "../src/local.js";

afterEach(() => vi.unstubAllEnvs());

describe("the choice of backends", () => {
  it("is all of them unless DLOCK_TEST_BACKENDS says otherwise", () => {
    vi.stubEnv("DLOCK_TEST_BACKENDS", "");
    expect(selectedBackends()).toContain("redis");
    expect(selectedBackends()).not.toContain("mysql");
    vi.stubEnv("DLOCK_TEST_BACKENDS", "postgres,mysql");
    expect(selectedBackends()).toEqual(["postgres", "mysql"]);
    vi.stubEnv("DLOCK_TEST_BACKENDS", "none");
    expect(isSelected("redis")).toBe(false);
    vi.stubEnv("DLOCK_TEST_BACKENDS", " redis ");
    expect(isSelected("redis")).toBe(true);
  });

  it("is never a misspelt one", () => {
    vi.stubEnv("DLOCK_TEST_BACKENDS", "redis,etcd");
    expect(selectedBackends).toThrow(
      'DLOCK_TEST_BACKENDS names "etcd"; there are: redis, zookeeper, postgres, pgbouncer, mariadb, mysql, or none',
    );
  });
});

describe("the choice of an engine", () => {
  // Nothing of it is there: neither program nor image; as on a machine where nothing can be installed.
  const nothing = { ...software("redis"), commands: ["dlock-no-such-server"], image: "dlock-local/no-such-image:1" };

  it.each(["local", "auto"])("names the line to run when there is nothing (%s)", async (engine) => {
    vi.stubEnv("DLOCK_TEST_ENGINE", engine);
    vi.spyOn(process, "getuid").mockReturnValue(1_000);
    await expect(chooseEngine(nothing)).rejects.toThrow(
      /^there is no dlock-no-such-server and .*; run: (sudo apt-get|brew) install .*redis/,
    );
  });

  // Homebrew has a package of it.
  it.skipIf(process.platform === "darwin")("names no package where there is none", async () => {
    vi.stubEnv("DLOCK_TEST_ENGINE", "local");
    const { commands, image } = nothing;
    await expect(chooseEngine({ ...software("mysql"), commands, image })).rejects.toThrow(
      /; install dlock-no-such-server, or start Docker$/,
    );
  });

  it("takes no program for another one that has its name", () => {
    const node = { ...software("mysql"), commands: [process.execPath] };
    expect(findLocal(node)?.title).toBe(process.execPath);
    expect(findLocal({ ...node, impostor: basename(realpathSync(process.execPath)) })).toBeUndefined();
  });

  it("takes the newest of several versions", () => {
    const folder = mkdtempSync(join(tmpdir(), "dlock-choice-test-"));
    try {
      for (const version of ["9", "18", "19-broken"]) mkdirSync(join(folder, version));
      for (const version of ["9", "18"]) symlinkSync(process.execPath, join(folder, version, "server"));
      const found = findLocal({ ...software("postgres"), commands: [join(folder, "*", "server")] });
      expect(found?.title).toBe(join(folder, "18", "server"));
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("says what is missing for Docker", async () => {
    vi.stubEnv("DLOCK_TEST_ENGINE", "docker");
    await expect(chooseEngine(nothing)).rejects.toThrow(
      /^DLOCK_TEST_ENGINE is docker, but (no Docker engine answers|Docker has no image dlock-local)/,
    );
  });

  it("is never a misspelt one", async () => {
    vi.stubEnv("DLOCK_TEST_ENGINE", "podman");
    await expect(chooseEngine(nothing)).rejects.toThrow(
      'DLOCK_TEST_ENGINE is "podman"; it can be docker, local or auto',
    );
  });
});
