import type { Clock } from "./clock.ts";

/** What waits to be written is no more than this. */
const MAX_WAITING_CHARACTERS = 1024 * 1024;
/** What is written in one go: whoever reads slowly makes room by so much. */
const BATCH_CHARACTERS = 64 * 1024;
/** How long nothing is written where the last attempt failed, as on a full disk. */
const PAUSE_MS = 100;

export interface BackgroundOutputPorts {
  /** Resolves when all of it is written, which may be never where nobody reads. */
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly clock: Clock;
  /** The line that stands in the place of so many. */
  readonly dropped: (lines: number) => string;
}

/**
 * Writes lines in their order without holding up whoever writes them: a pipe that nobody reads, or a
 * terminal that was stopped, takes nothing for as long as it likes. What waits is bounded; lines beyond
 * it are dropped and counted, and one line says so when the rest flows again.
 */
export class BackgroundOutput {
  readonly #ports: BackgroundOutputPorts;
  readonly #encoder = new TextEncoder();
  #waiting: string[] = [];
  /** With what is being written. */
  #characters = 0;
  #dropped = 0;
  #idle: Promise<void> | undefined;
  /** How many lines were dropped in all. */
  droppedLines = 0;

  constructor(ports: BackgroundOutputPorts) {
    this.#ports = ports;
  }

  /** One or more whole lines. */
  write(text: string): void {
    if (text === "") return;
    if (this.#characters + text.length > MAX_WAITING_CHARACTERS) return this.#drop(text);
    this.#add(text);
    this.#idle ??= this.#writeAll().finally(() => this.#idle = undefined);
  }

  /** Whether all is written by then. */
  async flush(withinMs: number): Promise<boolean> {
    const late = Promise.withResolvers<void>();
    const cancelTimer = this.#ports.clock.after(withinMs, late.resolve);
    await Promise.race([this.#idle, late.promise]);
    cancelTimer();
    return this.#idle === undefined;
  }

  #add(text: string): void {
    this.#waiting.push(text);
    this.#characters += text.length;
  }

  #drop(text: string): void {
    const lines = text.split("\n").length - 1;
    this.#dropped += lines;
    this.droppedLines += lines;
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#nextBatch();
      try {
        await this.#ports.write(this.#encoder.encode(batch));
        this.#characters -= batch.length;
        if (this.#dropped > 0) this.#add(this.#ports.dropped(this.#dropped));
        this.#dropped = 0;
      } catch {
        // A full disk, a terminal that is gone: who can't be told of it goes on all the same.
        this.#characters -= batch.length;
        this.#drop(batch);
        await new Promise<void>((resolve) => this.#ports.clock.after(PAUSE_MS, resolve));
      }
    }
  }

  #nextBatch(): string {
    let count = 0, characters = 0;
    while (count < this.#waiting.length && characters < BATCH_CHARACTERS) {
      characters += this.#waiting[count++]!.length;
    }
    return this.#waiting.splice(0, count).join("");
  }
}

/**
 * Writes to standard error on a thread of its own, for as long as that takes. Of Deno's ways this one
 * alone neither holds up the process, as `Deno.stderr.write()` does with its promise and all, nor closes
 * standard error for good after one error, as `Deno.stderr.writable` does.
 */
export function writeToStderr(bytes: Uint8Array): Promise<void> {
  return core.writeAll(STDERR, bytes);
}

const STDERR = 2;

interface Core {
  writeAll(resource: number, bytes: Uint8Array): Promise<void>;
}

const core = (Deno as unknown as { readonly [name: symbol]: { readonly core: Core } })[
  (Deno as unknown as { readonly internal: symbol }).internal
]!.core;
