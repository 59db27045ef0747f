import type { DatabaseSync } from "node:sqlite";
import { MIGRATIONS } from "./migrations.ts";

/** Marks a SQLite file as Bellhook's in its header: "BELL". */
export const APPLICATION_ID = 0x42454c4c;

/** The stored number of each state; the partial indexes below know them as literals. */
export const STATES = ["pending", "delivered", "exhausted", "cancelled"] as const;

/** The stored number of what a replay can be asked for; the last is no state, but a set of deliveries. */
export const STATE_FILTERS = [...STATES, "failed"] as const;

/** The type under which events_of_type lists all events; the numbers of types begin at 1. */
export const ALL_TYPES = 0;

/** Thrown for a database that a later version of Bellhook has written. */
export class NewerSchemaError extends Error {
  override readonly name = "NewerSchemaError";

  constructor(readonly path: string, readonly version: number, known = MIGRATIONS.length) {
    super(
      `cannot open "${path}": its schema is version ${version}, this Bellhook knows ` +
        `${known} at most; start the newer Bellhook that wrote it, or restore a backup`,
    );
  }
}

/** Thrown where a file is no database of ours, or is not there to be read. */
export class NotOurDatabaseError extends Error {
  override readonly name = "NotOurDatabaseError";

  constructor(readonly path: string, why: string) {
    super(`cannot open "${path}": ${why}`);
  }
}

/** Brings a database to the newest schema, in one transaction. Throws before it changes a foreign one. */
export function migrate(db: DatabaseSync, path: string, migrations = MIGRATIONS): void {
  const version = schemaVersion(db, path, migrations);
  if (version === migrations.length) return;
  // A migration may spell a table's text anew.
  const defended = db as unknown as Defended;
  defended.enableDefensive(false);
  db.exec("begin immediate");
  try {
    for (const migration of migrations.slice(version)) db.exec(migration);
    db.exec(versionMark(migrations));
    db.exec("commit");
  } catch (error) {
    if (db.isTransaction) db.exec("rollback");
    throw error;
  } finally {
    defended.enableDefensive(true);
  }
}

/** Marks a database as ours, and as having seen these migrations. */
export function versionMark(migrations: readonly string[]): string {
  return `
    pragma application_id = ${APPLICATION_ID};
    pragma user_version = ${migrations.length};`;
}

/** What the runtime's types of a database lack. */
interface Defended {
  /** Whether statements are refused that could break the database. */
  enableDefensive(active: boolean): void;
}

/** Throws unless a database has exactly the schema that the readers' statements are written for. */
export function assertCurrent(db: DatabaseSync, path: string, migrations = MIGRATIONS): void {
  const version = schemaVersion(db, path, migrations);
  if (version === 0) throw new NotOurDatabaseError(path, "it is an empty database");
  if (version < migrations.length) {
    throw new NotOurDatabaseError(
      path,
      `its schema is version ${version}, not ${migrations.length}; start the daemon once to bring it up to date`,
    );
  }
}

/** How many migrations a database has seen; 0 for one without anything in it. */
export function schemaVersion(
  db: DatabaseSync,
  path: string,
  migrations = MIGRATIONS,
): number {
  const header = readHeader(db, path);
  if (header.applicationId !== APPLICATION_ID) {
    if (header.applicationId === 0 && header.version === 0 && header.tables === 0) return 0;
    throw new NotOurDatabaseError(path, "it is a database of some other program");
  }
  if (header.version > migrations.length) {
    throw new NewerSchemaError(path, header.version, migrations.length);
  }
  return header.version;
}

function readHeader(db: DatabaseSync, path: string) {
  try {
    const ask = (sql: string) => Number(Object.values(db.prepare(sql).get()!)[0]);
    return {
      applicationId: ask("pragma application_id"),
      version: ask("pragma user_version"),
      tables: ask("select count(*) from sqlite_schema"),
    };
  } catch (error) {
    if ((error as { errcode?: number }).errcode !== SQLITE_NOTADB) throw error;
    throw new NotOurDatabaseError(path, "it is no SQLite database");
  }
}

const SQLITE_NOTADB = 26;
