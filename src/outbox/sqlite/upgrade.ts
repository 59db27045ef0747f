import type { DatabaseSync } from "node:sqlite";
import { basename, dirname } from "node:path";
import { assertSound } from "./audit.ts";
import {
  closing,
  copiesBeforeMigration,
  copyDatabase,
  freeBytesIn,
  isCopyBeforeMigration,
  type Working,
} from "./copy.ts";
import { removePartials } from "./partial.ts";
import { MIGRATIONS, versionMark } from "./schema.ts";
import { spaceOf } from "./space.ts";
import { Interrupted, SqliteThread } from "./sqlite_thread.ts";

/** A database that is about to be copied and brought up to date. */
export interface Outdated {
  readonly fromVersion: number;
  readonly toVersion: number;
  /** Its size, and how much room its disk has. */
  readonly bytes: number;
  readonly freeBytes: number;
}

/** A database that was copied before its schema is brought up to date. */
export interface CopiedBefore {
  readonly copy: string;
  readonly fromVersion: number;
  readonly toVersion: number;
}

/** How a database is brought up to date. */
export interface Migrating extends Working {
  readonly migrations?: readonly string[];
  /** Told before anything is done. */
  readonly onOutdated?: (outdated: Outdated) => void;
  /** Told of the copy, once it is whole and before anything is changed. */
  readonly onCopied?: (copied: CopiedBefore) => void;
}

/**
 * Copies a database of an older schema to `PATH-v1-backup`, or finds it copied, and changes it in one
 * transaction. Works on threads: the process hears signals meanwhile. Interrupted anywhere, also by a
 * kill, the database is as it was, and the next start goes on from a copy that was whole.
 */
export async function upgrade(
  db: DatabaseSync,
  path: string,
  { migrations = MIGRATIONS, onOutdated, onCopied, ...working }: Migrating & {
    readonly fromVersion: number;
  },
): Promise<void> {
  const { fromVersion, onProgress = () => {} } = working;
  const toVersion = migrations.length;
  const { bytes } = spaceOf(db);
  onOutdated?.({ fromVersion, toVersion, bytes, freeBytes: await freeBytesIn(dirname(path)) });
  const { existing, free } = await copiesBeforeMigration(path, fromVersion);
  const kept = await firstOf(existing, (copy) => haveSameContent(path, copy, working));
  const copy = kept ?? free;
  if (kept === undefined) {
    const inspect = (thread: SqliteThread) =>
      assertSound(thread, free, (progress) => onProgress({ doing: "checking", ...progress }));
    await copyDatabase(path, copy, inspect, working);
  }
  onCopied?.({ copy, fromVersion, toVersion });
  try {
    await change(path, migrations, working);
  } catch (error) {
    // Nothing was changed, and a copy that was made for it is for nothing, unless it is tried again.
    if (!(error instanceof Interrupted) && kept === undefined) await Deno.remove(copy);
    throw error;
  }
}

async function change(
  path: string,
  migrations: readonly string[],
  { fromVersion, onProgress = () => {}, signal }: Working & { readonly fromVersion: number },
): Promise<void> {
  const thread = await SqliteThread.open(path, { settings: FASTER, defensive: false, signal });
  await closing(thread, async () => {
    await thread.exec("begin immediate");
    const total = migrations.length - fromVersion;
    for (const [done, migration] of migrations.slice(fromVersion).entries()) {
      onProgress({ doing: "changing", done, total });
      await thread.exec(migration);
    }
    await thread.exec(versionMark(migrations));
    await thread.exec("commit");
  });
}

/** Removes what killed processes left of copies and compactions; whoever calls holds the lock. */
export async function removeRemains(path: string): Promise<void> {
  const name = basename(path);
  // A folder that can't be listed has kept nobody from working so far.
  await removePartials(dirname(path), (of) => of === name || isCopyBeforeMigration(of, path))
    .catch(() => {});
}

async function firstOf<Item>(
  items: readonly Item[],
  fits: (item: Item) => Promise<boolean>,
): Promise<Item | undefined> {
  for (const item of items) if (await fits(item)) return item;
  return undefined;
}

/** Indexes are made by sorting, which is the faster the more fits into memory; and with a helper. */
const FASTER = "pragma cache_size = -131072; pragma threads = 2;";

const TABLES = `
  select t.name, group_concat('a."' || c.name || '" is b."' || c.name || '"', ' and ') as same,
    group_concat(iif(c.pk > 0, 'a."' || c.name || '" = b."' || c.name || '"', null), ' and ') as key
  from pragma_table_list t join pragma_table_xinfo(t.name, 'main') c
  where t.schema = 'main' and t.type = 'table' and t.name not like 'sqlite_%' group by t.name`;

const SAME_SCHEMA = `
  select (select count(*) from (
    select type, name, tbl_name, sql from main.sqlite_schema
    except select type, name, tbl_name, sql from copy.sqlite_schema
  )) + (select count(*) from (
    select type, name, tbl_name, sql from copy.sqlite_schema
    except select type, name, tbl_name, sql from main.sqlite_schema
  )) as differences`;

/** Whether a file is a database with the same schema and rows. */
async function haveSameContent(
  path: string,
  copy: string,
  { onProgress = () => {}, signal }: Working,
): Promise<boolean> {
  const attach = `attach database '${copy.replaceAll("'", "''")}' as copy`;
  let thread: SqliteThread;
  try {
    thread = await SqliteThread.open(path, { readOnly: true, settings: attach, signal });
  } catch (error) {
    if ((error as { errcode?: number }).errcode === undefined) throw error;
    return false; // it is no database
  }
  return await closing(thread, async () => {
    const [schema, tables] = await thread.read([{ sql: SAME_SCHEMA }, { sql: TABLES }]);
    if (!("rows" in schema!) || !("rows" in tables!)) return false;
    if (schema.rows[0]!.differences !== 0) return false;
    for (const [done, { name, same, key }] of tables.rows.entries()) {
      onProgress({ doing: "comparing", done, total: tables.rows.length });
      const [counts] = await thread.read([{
        sql: `
          select (select count(*) from main."${name}") as here,
            (select count(*) from copy."${name}") as there,
            (select count(*) from main."${name}" a join copy."${name}" b on ${key} where ${same})
              as same`,
      }]);
      if (!("rows" in counts!)) return false;
      const { here, there, same: equal } = counts.rows[0]!;
      if (here !== there || here !== equal) return false;
    }
    return true;
  });
}
