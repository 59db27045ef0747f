import type { DatabaseSync, StatementSync } from "node:sqlite";
import { DataDamaged } from "../errors.ts";
import { type Bytes, toBytes, toText } from "./bytes.ts";
import { UNREADABLE } from "./damage.ts";

/** The small numbers that stand for texts which recur by the million. */
export class Names {
  readonly #find: StatementSync;
  readonly #insert: StatementSync | undefined;
  readonly #read: StatementSync;
  #ids = new Map<string, number>();
  #names = new Map<number, string>();

  /** A connection that only reads can't give new numbers. */
  constructor(db: DatabaseSync, sql: NameStatements, { writes }: { writes: boolean }) {
    this.#find = db.prepare(sql.find);
    this.#insert = writes ? db.prepare(sql.insert) : undefined;
    this.#read = db.prepare(sql.read);
  }

  /** The number of a name; undefined where it has none yet. */
  find(name: string): number | undefined {
    const cached = this.#ids.get(name);
    if (cached !== undefined) return cached;
    const row = this.#find.get(toBytes(name)) as { id: number } | undefined;
    if (row) this.#remember(row.id, name);
    return row?.id;
  }

  /** The number of a name, given now where it had none. Within a transaction. */
  intern(name: string): number {
    const known = this.find(name);
    if (known !== undefined) return known;
    const id = Number(this.#insert!.run(toBytes(name)).lastInsertRowid);
    this.#remember(id, name);
    return id;
  }

  /** Whether a number stands for a name. */
  has(id: number): boolean {
    return this.#names.has(id) || this.#read.get(id) !== undefined;
  }

  name(id: number): string {
    const cached = this.#names.get(id);
    if (cached !== undefined) return cached;
    const row = this.#read.get(id) as { name: Bytes } | undefined;
    if (!row) throw new DataDamaged(UNREADABLE);
    const name = toText(row.name);
    this.#remember(id, name);
    return name;
  }

  /** After a rollback, for the numbers it took back may come again for other names. */
  forget(): void {
    this.#ids.clear();
    this.#names.clear();
  }

  #remember(id: number, name: string): void {
    if (this.#ids.size >= CACHED_NAMES) this.forget();
    this.#ids.set(name, id);
    this.#names.set(id, name);
  }
}

/** Formats run to some hundred bytes, and publishers may make up types as they like. */
const CACHED_NAMES = 20_000;

interface NameStatements {
  readonly find: string;
  readonly insert: string;
  readonly read: string;
}

export const SUBSCRIPTION_NAMES: NameStatements = {
  find: "select id from subscriptions where name = ?",
  insert: "insert into subscriptions (name) values (?)",
  read: "select name from subscriptions where id = ?",
};

export const TYPE_NAMES: NameStatements = {
  find: "select id from types where name = ?",
  insert: "insert into types (name) values (?)",
  read: "select name from types where id = ?",
};

export const URL_NAMES: NameStatements = {
  find: "select id from urls where name = ?",
  insert: "insert into urls (name) values (?)",
  read: "select name from urls where id = ?",
};

export const HEADER_NAMES: NameStatements = {
  find: "select id from header_names where name = ?",
  insert: "insert into header_names (name) values (?)",
  read: "select name from header_names where id = ?",
};

export const FORMAT_NAMES: NameStatements = {
  find: "select id from formats where name = ?",
  insert: "insert into formats (name) values (?)",
  read: "select name from formats where id = ?",
};
