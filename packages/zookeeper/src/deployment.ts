import { Namespace } from "./namespace.js";
import type { Settings } from "./options.js";
import { SharedSession } from "./shared-session.js";
import type { Address } from "./url.js";

/** One ensemble, as one process talks to it. */
export class Deployment {
  readonly namespace: Namespace;
  readonly session: SharedSession;
  readonly settings: Settings;
  readonly #told = new Set<string>();

  constructor({ servers, chroot, auth }: Address, settings: Settings) {
    this.settings = settings;
    this.namespace = new Namespace(chroot, settings);
    const { sessionTimeout: timeout, tickTime, emit } = settings;
    this.session = new SharedSession({ servers, auth, timeout, tickTime }, emit);
  }

  /** Says a notice once. */
  notice(code: string, message: string, key?: string): void {
    if (this.#told.has(code)) return;
    this.#told.add(code);
    this.settings.emit({ code, message, key });
  }
}
