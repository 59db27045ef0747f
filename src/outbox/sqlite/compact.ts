import { DatabaseSync } from "node:sqlite";
import { dirname } from "node:path";
import type { Space } from "../reader.ts";
import { assertSound } from "./audit.ts";
import { openReading } from "./connection.ts";
import { assertRoom, closing, sync } from "./copy.ts";
import { faultOf } from "./faults.ts";
import { DatabaseLock } from "./lock.ts";
import { beginPartial } from "./partial.ts";
import { spaceOf } from "./space.ts";
import { type Key, SqliteThread } from "./sqlite_thread.ts";
import { removeRemains } from "./upgrade.ts";
import type { Working } from "../../runtime/long_work.ts";

/**
 * Writes what a database holds to a new file, packed, and puts that in its place. Nobody else may have
 * it open meanwhile. Interrupted anywhere, also by a kill, the one or the other stands there, whole.
 * Throws OutboxLocked, OutboxUnavailable, NoRoomError, Interrupted.
 */
export async function compact(
  named: string,
  working: Working = {},
): Promise<{ readonly before: Space; readonly after: Space }> {
  const path = await Deno.realPath(named);
  const lock = DatabaseLock.take(path);
  try {
    await giveToOwnerOf(path, `${path}-lock`);
    await removeRemains(path);
    openReading(path).close();
    using guard = new DatabaseSync(path, { timeout: 1_000 });
    // Fails where anybody else has it open. From here on there is no journal beside the file, which
    // would be taken for the new one's.
    guard.prepare("pragma journal_mode = delete").all();
    // And keeps everybody from writing to the file that is about to be replaced.
    guard.prepare("begin immediate").all();
    const before = spaceOf(guard);
    const usedBytes = before.bytes - before.freeBytes;
    await assertRoom({
      bytes: usedBytes,
      folder: dirname(path),
      what: `a packed copy of "${path}"`,
    });
    const partial = await beginPartial(path);
    try {
      await pack(guard, path, partial.path, { ...working, usedBytes });
      await giveToOwnerOf(path, partial.path);
      await sync(partial.path);
      await Deno.rename(partial.path, path);
    } finally {
      await partial.discard();
    }
    await sync(dirname(path));
    using packed = new DatabaseSync(path, { readOnly: true });
    return { before, after: spaceOf(packed) };
  } catch (error) {
    throw faultOf(error, path);
  } finally {
    lock.release();
  }
}

/** What root writes beside somebody else's database must be theirs, or they can't start any more. */
async function giveToOwnerOf(path: string, other: string): Promise<void> {
  const [{ uid, gid, mode }, own] = await Promise.all([Deno.stat(path), Deno.stat(other)]);
  if (uid !== null && gid !== null && (uid !== own.uid || gid !== own.gid)) {
    await Deno.chown(other, uid, gid);
  }
  if (mode !== null && Deno.build.os !== "windows") await Deno.chmod(other, mode & 0o777);
}

const SLICE_ROWS = 2_000;

/** Without a journal and without waiting for the disk: until it has a name, the file is nobody's. */
const SETTINGS = `
  pragma journal_mode = off;
  pragma synchronous = off;
  pragma foreign_keys = off;
  pragma ignore_check_constraints = on;
  pragma cache_size = -131072;
  pragma threads = 2;
`;

const THINGS = `
  select type, name, sql from sqlite_schema
  where sql is not null and name not like 'sqlite_%' order by rowid`;

const COLUMNS = `
  select c.name, c.type, c.pk, l.wr from pragma_table_list l join pragma_table_info(l.name) c
  where l.schema = 'main' and l.name = ? order by c.cid`;

/** Copies all rows in the order of their keys, then makes the indexes, which is faster than the reverse. */
async function pack(
  guard: DatabaseSync,
  from: string,
  to: string,
  { usedBytes, onProgress = () => {}, signal }: Working & { readonly usedBytes: number },
): Promise<void> {
  const things = guard.prepare(THINGS).all() as unknown as Thing[];
  const tables = things.filter(({ type }) => type === "table");
  const thread = await SqliteThread.open(to, { defensive: false, signal, settings: SETTINGS });
  const tell = async (doing: "copying" | "indexing") => {
    const done =
      (await thread.read([{ sql: SIZE }])).flatMap((answer) =>
        "rows" in answer ? answer.rows.map(({ bytes }) => Number(bytes)) : []
      )[0] ?? 0;
    onProgress({ doing, done: Math.min(usedBytes, done), total: usedBytes });
  };
  await closing(thread, async () => {
    for (const mark of ["application_id", "user_version"]) {
      await thread.exec(`pragma ${mark} = ${guard.prepare(`pragma ${mark}`).get()![mark]}`);
    }
    await thread.exec("begin");
    for (const { sql } of tables) await thread.exec(sql);
    for (const { name } of tables) await copyTable(guard, name, { from, thread, tell });
    for (const { name, seq } of numbersIn(guard)) {
      const params = { name, seq };
      await thread.read([
        { sql: "delete from sqlite_sequence where name = :name", params: { name } },
        { sql: "insert into sqlite_sequence (name, seq) values (:name, :seq)", params },
      ]);
    }
    for (const { sql } of things.filter(({ type }) => type !== "table")) {
      await tell("indexing");
      await thread.exec(sql);
    }
    await thread.exec("commit");
    await assertSound(thread, to, (progress) => onProgress({ doing: "checking", ...progress }));
  });
}

const SIZE = "select page_count * page_size as bytes from pragma_page_count, pragma_page_size";

interface Thing {
  readonly type: string;
  readonly name: string;
  readonly sql: string;
}

/** The highest numbers that were ever given, of tables that never give one twice. */
function numbersIn(guard: DatabaseSync): { name: string; seq: number }[] {
  const isThere = guard.prepare("select 1 from sqlite_schema where name = 'sqlite_sequence'").get();
  if (!isThere) return [];
  return guard.prepare("select name, seq from sqlite_sequence").all() as never;
}

interface Copying {
  readonly from: string;
  readonly thread: SqliteThread;
  readonly tell: (doing: "copying") => Promise<void>;
}

async function copyTable(
  guard: DatabaseSync,
  name: string,
  { from, thread, tell }: Copying,
): Promise<void> {
  const columns = guard.prepare(COLUMNS).all(name) as unknown as Column[];
  const names = columns.map((column) => `"${column.name}"`);
  const key = columns.some(({ wr }) => wr === 1)
    ? columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk).map((c) => `"${c.name}"`)
    : ["rowid"];
  // A text is read back cut at its first NUL.
  const read = columns.map(({ type }, i) =>
    type === "TEXT" ? `cast(${names[i]} as blob)` : names[i]
  );
  const written = columns.map(({ type }) => type === "TEXT" ? "cast(? as text)" : "?");
  const select = (where: string) =>
    `select ${[...read, ...key].join(", ")} from "${name}" ${where}
    order by ${key.join(", ")} limit ${SLICE_ROWS}`;
  const following = select(`where (${key.join(", ")}) > (${key.map(() => "?").join(", ")})`);
  const insert = `insert into "${name}" (${names.join(", ")}) values (${written.join(", ")})`;
  let copied = 0;
  for (let after: Key = [];;) {
    await tell("copying");
    const { count, last } = await thread.copyRows({
      from,
      select: after.length === 0 ? select("") : following,
      insert,
      columns: columns.length,
      after,
    });
    copied += count;
    if (count < SLICE_ROWS) break;
    after = last;
  }
  const { n } = guard.prepare(`select count(*) as n from "${name}"`).get()!;
  if (n === copied) return;
  throw new Error(
    `"${from}" stays as it is, for it is damaged: ${n} rows of "${name}" are indexed and ${copied} ` +
      "can be read; run bellhook audit, and restore a backup",
  );
}

interface Column {
  readonly name: string;
  readonly type: string;
  /** Its place in the primary key, from 1 on. */
  readonly pk: number;
  /** 1 where the table has no row numbers. */
  readonly wr: number;
}
