import type { LiveConfig } from "./live_config.ts";

/** Answers that go on for as long as somebody listens; they end when the daemon stops. */
export class OpenStreams {
  readonly #config: LiveConfig;
  readonly #open = new Set<() => void>();

  constructor(config: LiveConfig) {
    this.#config = config;
  }

  /** `end` ends a stream that has begun; the answer takes it off again. */
  add(end: () => void): () => void {
    this.#open.add(end);
    // Whoever comes while the daemon stops is let go as soon as its stream has begun.
    if (this.#config.closedBecause !== undefined) queueMicrotask(end);
    return () => this.#open.delete(end);
  }

  end(): void {
    for (const end of [...this.#open]) end();
  }
}
