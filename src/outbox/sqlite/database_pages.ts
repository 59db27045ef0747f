import type { DatabaseSync } from "node:sqlite";
import { prepareAll, type Statements } from "./statements.ts";

/** How many pages (4 KiB each) the journal holds, and how many of them are not in the database yet. */
export interface JournalPages {
  readonly all: number;
  readonly waiting: number;
}

/** Of the journal (sqlite.org, WAL format): before all of it, and before each page. */
export const JOURNAL_HEAD_BYTES = 32;
export const FRAME_HEAD_BYTES = 24;

interface CheckpointRow {
  readonly log: number;
  readonly checkpointed: number;
}

/** How long the database and its journal are, and how the one is moved into the other. */
export class DatabasePages {
  readonly #db: DatabaseSync;
  readonly #sql: Statements<keyof typeof PAGES_SQL>;

  constructor(db: DatabaseSync) {
    this.#db = db;
    this.#sql = prepareAll(db, PAGES_SQL);
  }

  /** How far the journal has grown. */
  journal(): JournalPages {
    const { log, checkpointed } = this.#sql.journal.get() as unknown as CheckpointRow;
    return { all: log, waiting: log - checkpointed };
  }

  /** How long the journal's file is at least, by what it holds. */
  journalBytes(): number {
    const { all } = this.journal();
    return all === 0 ? 0 : JOURNAL_HEAD_BYTES + all * this.frameBytes();
  }

  /** How long a page in the journal is, with its head. */
  frameBytes(): number {
    return FRAME_HEAD_BYTES + this.#pageBytes();
  }

  /** How long the database's file is once all of the journal is in it. */
  bytes(): number {
    return Number(this.#sql.pageCount.get()!.page_count) * this.#pageBytes();
  }

  #pageBytes(): number {
    return Number(this.#sql.pageSize.get()!.page_size);
  }

  /** Moves what the journal holds into the database, as far as readers let it, and syncs neither. */
  checkpoint(): void {
    this.#db.exec("pragma synchronous = off");
    try {
      this.#sql.checkpoint.get();
    } finally {
      this.#db.exec("pragma synchronous = normal");
    }
  }

  /** Moves all of the journal into the database, so that its file alone is a copy. */
  emptyJournal(): void {
    this.#db.prepare("pragma wal_checkpoint(truncate)").get();
  }
}

const PAGES_SQL = {
  journal: "pragma wal_checkpoint(noop)",
  checkpoint: "pragma wal_checkpoint(passive)",
  pageCount: "pragma page_count",
  pageSize: "pragma page_size",
} as const;
