import { readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { root, run } from "./run.mjs";

const house = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));

/** One sentence that says what went wrong and what to do about it. */
export class PreparationError extends Error {}

export function say(step) {
  console.log(`dlock: ${step} …`);
}

export function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  const [wantedMajor, wantedMinor] = house.engines.node.match(/\d+/g).map(Number);
  if (major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)) return;
  throw new PreparationError(
    `Node ${house.engines.node} is needed, and this is ${process.versions.node}: install a newer one (https://nodejs.org) and try again.`,
  );
}

/** Puts pnpm, at the version pinned in package.json, and the tools of the house on the PATH of all that follows. */
export async function getPnpm() {
  const pnpm = house.packageManager;
  say(`getting ${pnpm}`);
  const { status, output } = await npx(pnpm, ["node", "-p", "`PATH=${process.env.PATH}`"], { show: false });
  const path = /^PATH=(.*)$/m.exec(output);
  if (status !== 0 || path === null) throw new PreparationError(explain(`${pnpm} could not be fetched`, output));
  process.env.PATH = [join(root, "node_modules", ".bin"), path[1]].join(delimiter);
  process.env.TURBO_TELEMETRY_DISABLED = "1";
}

/** Runs a command with a package of the registry on its PATH; asks the network only for what was never fetched before. */
export function npx(spec, command, options = {}) {
  const env = {
    npm_config_prefer_offline: "true",
    npm_config_update_notifier: "false",
    npm_config_fetch_retry_mintimeout: "1000",
    npm_config_fetch_retry_maxtimeout: "5000",
  };
  return run("npx", ["--yes", `--package=${spec}`, "--", ...command], { ...options, env });
}

export async function install() {
  say("installing dependencies");
  // The lockfile is what was reviewed: asking the registry for the age of each package again would cost the offline run.
  const config = {
    minimumReleaseAge: 0,
    confirmModulesPurge: false,
    fetchRetryMintimeout: 1000,
    fetchRetryMaxtimeout: 5000,
  };
  const options = Object.entries(config).map(([name, value]) => `--config.${name}=${value}`);
  const { status, output } = await run("pnpm", ["install", "--frozen-lockfile", "--prefer-offline", ...options], {
    show: false,
  });
  if (status !== 0) throw new PreparationError(explain("the dependencies could not be installed", output));
}

export async function build() {
  say("building");
  const { status, output } = await run("turbo", ["run", "build", "--output-logs=errors-only"], { show: false });
  if (status === 0) return;
  if (denied.test(output)) throw new PreparationError(explain("the packages could not be built", output));
  process.stderr.write(output);
  throw new PreparationError("the packages could not be built: correct what the compiler says above and try again.");
}

const unreachable =
  /EAI_AGAIN|ENOTFOUND|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET|failed to fetch/i;
const denied = /EACCES|EPERM|EROFS|permission denied|read-only file system/i;

function explain(what, output) {
  if (unreachable.test(output)) {
    return `${what}: the package registry cannot be reached; check the network and the proxy (npm config get registry proxy) and try again.`;
  }
  if (denied.test(output)) {
    const folder = /^npm (?:error|ERR!) path (.+)$/m.exec(output)?.[1] ?? root;
    return `${what}: this user may not write in ${folder}; give it to them (sudo chown -R "$USER" "${folder}") and try again.`;
  }
  if (/ENOSPC|no space left/i.test(output)) return `${what}: the disk is full; free some space and try again.`;
  if (/OUTDATED_LOCKFILE/.test(output)) {
    return `${what}: pnpm-lock.yaml does not match the package.json files; run "npm run pnpm -- install" and commit the lockfile.`;
  }
  const lines = output.split("\n").filter((line) => line.trim() !== "" && !/^npm (warn|notice)/.test(line));
  const reason = lines.find((line) => /error|ERR_/i.test(line)) ?? lines.at(-1) ?? "no reason was given";
  return `${what} (${reason.trim()}): correct that, or remove node_modules, and try again.`;
}
