import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** What is missing, and the packages that bring it. */
interface Missing {
  readonly backend: string;
  readonly packages: { readonly apt: readonly string[] };
}

const systemPath = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
// What packages call, by these names, to enable and start the services they bring.
const switches = ["deb-systemd-helper", "deb-systemd-invoke", "invoke-rc.d", "service", "systemctl", "update-rc.d"];

/** Whether this is Debian or one of its children. */
export function hasApt(): boolean {
  return existsSync("/etc/debian_version") && existsSync("/usr/bin/apt-get");
}

/** Installs the programs and nothing that runs by itself: while the packages are set up, what would enable or start their services does nothing. */
export async function installWithApt({ backend, packages }: Missing): Promise<void> {
  const names = packages.apt;
  process.stderr.write(
    `dlock testbed: no ${backend} on this machine, installing ${names.join(" ")} with apt-get (no service is enabled or started)\n`,
  );
  const folder = mkdtempSync(join(tmpdir(), "dlock-apt-"));
  try {
    const idle = join(folder, "idle");
    writeFileSync(idle, "#!/bin/sh\nexit 0\n");
    chmodSync(idle, 0o755);
    for (const name of switches) symlinkSync("idle", join(folder, name));
    const path = [folder, ...systemPath].join(delimiter);
    const install = [
      "install",
      "-y",
      "-qq",
      "--no-install-recommends",
      "-o",
      `DPkg::Path=${path}`,
      "-o",
      "DPkg::Lock::Timeout=120",
      ...names,
    ];
    if (aptGet(install, path).status === 0) return;
    // The lists are missing or old, as in a fresh container.
    aptGet(["update", "-qq"], path);
    const { status, stderr } = aptGet(install, path);
    if (status !== 0) throw new Error(`apt-get could not install ${names.join(" ")}:\n${stderr.trim()}`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function aptGet(args: readonly string[], path: string): { readonly status: number | null; readonly stderr: string } {
  const env = { ...process.env, PATH: path, DEBIAN_FRONTEND: "noninteractive" };
  return spawnSync("/usr/bin/apt-get", args, {
    env,
    encoding: "utf8",
    timeout: 300_000,
    stdio: ["ignore", "ignore", "pipe"],
  });
}
