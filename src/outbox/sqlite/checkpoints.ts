import type { DatabasePages } from "./database_pages.ts";
import type { Journal } from "./journal.ts";
import type { OwnFiles } from "./own_files.ts";
import type { Trust } from "./trust.ts";

/**
 * How many pages (4 KiB each) may wait in the journal before they are moved into the database. Few, for
 * while the database is synced the commits' own syncs take as long: the pages of an old one lie
 * scattered, and two thousand take nine milliseconds.
 */
export const JOURNAL_PAGES = 400;

/** By how much it may grow before commits wait for its last pages, so that the next one begins it anew. */
const LONG_JOURNAL_PAGES = 6_000;

/** So few last pages are moved and synced within two milliseconds. */
const LAST_PAGES = 250;

/** By how much it may grow before commits wait for however many there are. */
const TOO_LONG_JOURNAL_PAGES = 12_000;

/** After so many commits its length is asked for: to ask takes half as long as to store an event. */
export const COMMITS_BETWEEN_LOOKS = 4;

interface Parts {
  readonly pages: DatabasePages;
  /** None where commits are durable by themselves, or never. */
  readonly journal: Journal | undefined;
  readonly files: OwnFiles | undefined;
  readonly trust: Trust;
}

/** Has what waits in the journal moved into the database. */
export class Checkpoints {
  readonly #parts: Parts;
  /** What the journal holds is being moved. */
  #moving: Promise<void> | undefined;
  /** How many commits there were since its length was asked for. */
  #unlooked = 0;
  /** How long it was when commits last waited for its end: an open reader keeps it from being reset. */
  #endedAt = 0;

  constructor(parts: Parts) {
    this.#parts = parts;
  }

  /**
   * After a commit, now that all of the journal is on the disk. Commits go on at its end while it is
   * moved, until it is so long that it must be begun anew: then they wait, but only for what has come
   * since most of it was moved.
   */
  async afterCommit(): Promise<void> {
    const { pages, journal, trust } = this.#parts;
    if (trust.failure || !journal || ++this.#unlooked < COMMITS_BETWEEN_LOOKS) return;
    this.#unlooked = 0;
    try {
      const { all, waiting } = pages.journal();
      if (all < this.#endedAt) this.#endedAt = 0;
      const grown = all - this.#endedAt;
      const isLong = grown >= LONG_JOURNAL_PAGES;
      if (grown >= TOO_LONG_JOURNAL_PAGES || isLong && !this.#moving && waiting < LAST_PAGES) {
        await this.#moving;
        // What was moved before may have failed meanwhile.
        if (!trust.failure) await this.#move(journal);
        this.#endedAt = all;
      } else if (waiting >= JOURNAL_PAGES) {
        this.#moving ??= this.#move(journal);
      }
    } catch (error) {
      trust.judge(error);
    }
  }

  /** Waits for what is being moved. */
  async ended(): Promise<void> {
    await this.#moving;
  }

  async #move(journal: Journal): Promise<void> {
    const { files, pages, trust } = this.#parts;
    try {
      files?.assertAll();
      await journal.move(() => pages.checkpoint());
    } catch (error) {
      // A full or busy disk is left to the next commit to tell: the journal holds all that counts.
      trust.judge(error);
    } finally {
      this.#moving = undefined;
    }
  }
}
