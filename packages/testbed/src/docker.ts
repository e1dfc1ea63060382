import { randomUUID } from "node:crypto";
import { GenericContainer, getContainerRuntimeClient, ImageName } from "testcontainers";
import type { ContainerRuntimeClient } from "testcontainers";
import type { Software } from "./backend.js";
import type { Engine, Place, Program } from "./engine.js";
import { startScript } from "./start-script.js";
import { within } from "./until.js";
import { watch } from "./watchdog.js";

type Container = ReturnType<ContainerRuntimeClient["container"]["getById"]>;

/** Runs images, when a Docker engine answers and has or gets the one that is needed; else says what is missing. */
export async function findDocker({ image }: Software): Promise<Engine | string> {
  let runtime: ContainerRuntimeClient;
  try {
    runtime = await within(10_000, getContainerRuntimeClient(), "finding a Docker engine");
  } catch {
    return "no Docker engine answers";
  }
  try {
    const pull = runtime.image.pull(ImageName.fromString(image), { force: false, platform: undefined });
    await within(300_000, pull, `getting ${image}`);
  } catch (error) {
    return `Docker has no image ${image} and cannot pull it (${(error as Error).message})`;
  }
  return { title: `Docker image ${image}`, prepare: (program) => Promise.resolve(new DockerPlace(runtime, program)) };
}

class DockerPlace implements Place {
  readonly #runtime: ContainerRuntimeClient;
  readonly #program: Program;
  #container: Container | undefined;
  #forget: (() => void) | undefined;

  constructor(runtime: ContainerRuntimeClient, program: Program) {
    this.#runtime = runtime;
    this.#program = program;
  }

  async run(): Promise<void> {
    if (this.#container) await this.#container.start();
    else await this.#create();
  }

  async isRunning(): Promise<boolean> {
    return (await this.#container?.inspect())?.State.Running ?? false;
  }

  async kill(): Promise<void> {
    if (!(await this.isRunning())) return;
    const gone = this.#container?.wait();
    await this.#container?.kill();
    await gone;
  }

  async pause(): Promise<void> {
    await this.#container?.pause();
  }

  async resume(): Promise<void> {
    await this.#container?.unpause();
  }

  /** The data is in the container: another one has none. */
  async wipe(): Promise<void> {
    await this.#container?.remove({ v: true, force: true }).catch((error: { readonly statusCode?: number }) => {
      if (error.statusCode !== 404) throw error;
    });
    this.#container = undefined;
    this.#forget?.();
  }

  remove(): Promise<void> {
    return this.wipe();
  }

  async log(): Promise<string> {
    const log = await this.#container?.logs({ stdout: true, stderr: true, tail: 20 });
    return log === undefined ? "" : text(log).trim();
  }

  async #create(): Promise<void> {
    const { software, args, files = [], env, setup } = this.#program;
    const name = `dlock-${software.backend}-${randomUUID()}`;
    // The images' own entry points differ in what they add; what is run here is the same as without Docker.
    const script = [
      "mkdir -p /tmp/data && cd /tmp/data && touch .present $FILES",
      'for name in $COMMANDS; do SERVER="$(command -v "$name")" && break; done',
      setup === undefined ? 'exec "$SERVER" "$@"' : `export SERVER\n${startScript(setup)}`,
    ].join("\n");
    this.#forget = watch({ kind: "container", name });
    const container = new GenericContainer(software.image);
    if (software.imageUser !== undefined) container.withUser(software.imageUser);
    container
      .withName(name)
      // The servers of a cluster or behind a sentinel tell their addresses to clients: on the host's network they are the same for everybody.
      .withNetworkMode("host")
      .withEnvironment({ ...env, FILES: files.join(" "), COMMANDS: software.commands.join(" ") })
      .withEntrypoint(["sh", "-c", script, "sh"])
      .withCommand([...args]);
    // Known before it is started: what cannot be started has to be removed too.
    this.#container = this.#runtime.container.getById(name);
    await container.start();
  }
}

/** Docker puts eight bytes before each piece of a log: which stream, and how long it is. */
function text(log: Buffer): string {
  const pieces: Buffer[] = [];
  for (let at = 8; at <= log.length;) {
    const end = at + log.readUInt32BE(at - 4);
    pieces.push(log.subarray(at, end));
    at = end + 8;
  }
  return Buffer.concat(pieces).toString();
}
