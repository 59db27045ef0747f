import { type LongJournal, type OutboxReader, readersText } from "../outbox/reader.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";

/** How often its length is asked for. */
const LOOK_MS = 30_000;

export interface JournalWatchPorts {
  readonly reader: Pick<OutboxReader, "longJournal">;
  readonly clock: Clock;
  readonly log: Log;
  /** How many transactions have been committed. */
  readonly commits: () => number;
}

/**
 * Notices a journal that another program keeps from being emptied by reading in it. It grows with every
 * event until that program ends, or the disk is full.
 */
export class JournalWatch {
  readonly #ports: JournalWatchPorts;
  #cancelTimer: (() => void) | undefined;
  #pinned: LongJournal | undefined;
  /** Where it was long when it was looked at last, and how many commits there had been. */
  #before: { readonly commits: number; readonly bytes: number } | undefined;

  constructor(ports: JournalWatchPorts) {
    this.#ports = ports;
  }

  start(): void {
    this.#cancelTimer = this.#ports.clock.after(LOOK_MS, () => {
      void this.look().finally(() => {
        if (this.#cancelTimer !== undefined) this.start();
      });
    });
  }

  stop(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  /** The journal, where it is long because somebody reads in it; as of the last look. */
  get pinned(): LongJournal | undefined {
    return this.#pinned;
  }

  /** Looks at it now. */
  async look(): Promise<void> {
    const { reader, log, commits } = this.#ports;
    const long = await reader.longJournal().catch(() => undefined);
    const before = this.#before;
    this.#before = long && { commits: commits(), bytes: long.bytes };
    const wasPinned = this.#pinned;
    this.#pinned = long && this.#isPinned(long, before) ? long : undefined;
    if (this.#pinned && !wasPinned) {
      log.journalPinned(this.#pinned.bytes, readersText(this.#pinned));
    }
    if (!this.#pinned && wasPinned) log.journalFreed();
  }

  /** One large commit makes it long as well: then the next one begins it anew. */
  #isPinned(
    { readers, bytes }: LongJournal,
    before: { readonly commits: number; readonly bytes: number } | undefined,
  ): boolean {
    if (readers.length > 0) return true;
    if (before === undefined) return false;
    const hasGrown = this.#ports.commits() > before.commits && bytes >= before.bytes;
    return hasGrown || this.#pinned !== undefined;
  }
}
