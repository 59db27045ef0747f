import type { Config } from "./config/config.ts";

/** The config in force, and whether the daemon is still taking events. */
export class LiveConfig {
  #current: Config;
  /** Why no events are accepted any more; undefined while they are. */
  closedBecause: string | undefined;

  constructor(initial: Config) {
    this.#current = initial;
  }

  get current(): Config {
    return this.#current;
  }

  /** Replaces it; what only a restart can change stays as it is. */
  replace(next: Config): void {
    const { server: { listen, socketMode, socketGroup }, storage: { path } } = this.#current;
    const { socketGroup: _, ...server } = next.server;
    this.#current = {
      ...next,
      server: { ...server, listen, socketMode, ...(socketGroup !== undefined && { socketGroup }) },
      storage: { ...next.storage, path },
    };
  }
}
