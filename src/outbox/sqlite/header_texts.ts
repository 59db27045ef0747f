import type { DatabaseSync } from "node:sqlite";
import type { Headers } from "../../domain/attempt.ts";
import type { JsonText } from "../../domain/json_text.ts";
import { HEADER_NAMES, Names } from "./names.ts";

/** How headers are stored. */
export interface HeaderText {
  /** The number of their names, which are the same in most attempts; null where `text` has them too. */
  readonly names: number | null;
  /** JSON: a list of values, or of pairs of name and value. */
  readonly text: JsonText;
}

/**
 * Receivers choose the names of their headers, and could choose others each time: so many lists of names
 * are stored once, and whatever comes later is stored with its names.
 */
const MOST_LISTS = 1_000;

/** The headers of an answer are often the very same again: so many are remembered. */
const MOST_REMEMBERED = 256;
const LONGEST_REMEMBERED = 1_024;

/** Stores the names of headers once: an attempt takes a quarter less room. */
export class HeaderTexts {
  readonly #names: Names;
  readonly #known = new Map<Headers, HeaderText>();
  #lists: number;

  constructor(db: DatabaseSync) {
    this.#names = new Names(db, HEADER_NAMES, { writes: true });
    this.#lists = (db.prepare(HEADER_SQL.countLists).get() as { n: number }).n;
  }

  /** Within a transaction. */
  of(headers: Headers): HeaderText {
    const names = this.#numberOf(headers);
    return names === undefined
      ? { names: null, text: JSON.stringify(headers) }
      : { names, text: JSON.stringify(headers.map(([, value]) => value)) };
  }

  /** The same of an answer's. */
  ofAnswer(headers: Headers): HeaderText {
    const known = this.#known.get(headers);
    if (known) return known;
    const stored = this.of(headers);
    if (this.#known.size >= MOST_REMEMBERED) this.#known.clear();
    if (stored.text.length <= LONGEST_REMEMBERED) this.#known.set(headers, stored);
    return stored;
  }

  /** After a rollback, for the numbers it took back may come again for other names. */
  forget(): void {
    this.#names.forget();
    this.#known.clear();
  }

  #numberOf(headers: Headers): number | undefined {
    const list = JSON.stringify(headers.map(([name]) => name));
    const known = this.#names.find(list);
    if (known !== undefined || this.#lists >= MOST_LISTS) return known;
    this.#lists++;
    return this.#names.intern(list);
  }
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const HEADER_SQL = {
  countLists: "select count(*) as n from header_names",
} as const;
