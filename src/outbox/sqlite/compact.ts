import { DatabaseSync } from "node:sqlite";
import { dirname } from "node:path";
import { OutboxUnavailable, type Space } from "../outbox.ts";
import { assertSound } from "./audit.ts";
import { openReading } from "./connection.ts";
import { assertRoom, closing, sync, type Working } from "./copy.ts";
import { faultOf } from "./faults.ts";
import { lockDatabase } from "./lock.ts";
import { beginPartial } from "./partial.ts";
import { spaceOf } from "./space.ts";
import { type Answered, type Row, SqliteThread } from "./sqlite_thread.ts";
import { removeRemains } from "./upgrade.ts";

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
  const lock = await lockDatabase(path);
  try {
    await giveToOwnerOf(path, `${path}-lock`);
    await removeRemains(path);
    openReading(path).close();
    using guard = new DatabaseSync(path, { timeout: 1_000 });
    // Fails where anybody else has it open. From here on there is no journal beside the file, which
    // would be taken for the new one's.
    guard.prepare("pragma journal_mode = delete").all();
    const before = spaceOf(guard);
    const seen = dataVersion(guard);
    await assertRoom({
      bytes: before.bytes - before.freeBytes,
      folder: dirname(path),
      what: `a packed copy of "${path}"`,
    });
    const partial = await beginPartial(path);
    try {
      await pack(path, partial.path, { ...working, pages: before });
      await giveToOwnerOf(path, partial.path);
      await sync(partial.path);
      guard.prepare("begin exclusive").all();
      if (dataVersion(guard) !== seen) {
        throw new OutboxUnavailable(
          `"${path}" stays as it is: another program has written to it meanwhile; end that one`,
        );
      }
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

/** Changes when another connection has committed. */
function dataVersion(guard: DatabaseSync): number {
  return Number(guard.prepare("pragma data_version").get()!.data_version);
}

/** What root writes beside somebody else's database must be theirs, or they can't start any more. */
async function giveToOwnerOf(path: string, other: string): Promise<void> {
  const [{ uid, gid, mode }, own] = await Promise.all([Deno.stat(path), Deno.stat(other)]);
  if (uid !== null && gid !== null && (uid !== own.uid || gid !== own.gid)) {
    await Deno.chown(other, uid, gid);
  }
  if (mode !== null && Deno.build.os !== "windows") await Deno.chmod(other, mode & 0o777);
}

const SLICE_ROWS = 50_000;

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
  select s.type, s.name, s.sql, l.wr
  from source.sqlite_schema s left join pragma_table_list l
    on l.schema = 'source' and l.name = s.name and s.type = 'table'
  where s.sql is not null and s.name not like 'sqlite_%' order by s.rowid`;

const HAS_NUMBERS = "select count(*) as n from source.sqlite_schema where name = 'sqlite_sequence'";

/** Copies all rows in the order of their keys, then makes the indexes, which is faster than the reverse. */
async function pack(
  path: string,
  to: string,
  { pages, onProgress = () => {}, signal }: Working & { readonly pages: Space },
): Promise<void> {
  const thread = await SqliteThread.open(to, { defensive: false, signal, settings: SETTINGS });
  const ask = async (sql: string) => rowsOf((await thread.read([{ sql }]))[0]!, path);
  const tell = async (doing: "copying" | "indexing") => {
    const [row] = await ask("pragma main.page_count");
    const total = pages.bytes - pages.freeBytes;
    onProgress({ doing, done: Math.min(total, Number(row!.page_count) * 4_096), total });
  };
  await closing(thread, async () => {
    await thread.exec(`attach database '${path.replaceAll("'", "''")}' as source`);
    for (const mark of ["application_id", "user_version"]) {
      const [row] = await ask(`pragma source.${mark}`);
      await thread.exec(`pragma main.${mark} = ${row![mark]}`);
    }
    // Keeps others from writing to the source as well.
    await thread.exec("begin immediate");
    const things = await ask(THINGS);
    const tables = things.filter(({ type }) => type === "table");
    for (const { sql } of tables) await thread.exec(String(sql));
    for (const { name, wr } of tables) {
      await copyRows(String(name), { thread, isWhole: wr === 1, ask, tell: () => tell("copying") });
    }
    const [numbers] = await ask(HAS_NUMBERS);
    if (numbers!.n !== 0) {
      await thread.exec(`
        delete from main.sqlite_sequence;
        insert into main.sqlite_sequence select * from source.sqlite_sequence;`);
    }
    for (const { type, sql } of things) {
      if (type === "table") continue;
      await tell("indexing");
      await thread.exec(String(sql));
    }
    await thread.exec("commit");
    await thread.exec("detach database source");
    await assertSound(thread, to, (progress) => onProgress({ doing: "checking", ...progress }));
  });
}

interface Copying {
  readonly thread: SqliteThread;
  /** One without row numbers is copied by one statement. */
  readonly isWhole: boolean;
  readonly ask: (sql: string) => Promise<readonly Row[]>;
  readonly tell: () => Promise<void>;
}

async function copyRows(name: string, { thread, isWhole, ask, tell }: Copying): Promise<void> {
  await tell();
  if (isWhole) await thread.exec(`insert into main."${name}" select * from source."${name}"`);
  for (let from: number | undefined = Number.MIN_SAFE_INTEGER; !isWhole && from !== undefined;) {
    const [last] = await ask(
      `select rowid as last from source."${name}" where rowid >= ${from}
      order by rowid limit 1 offset ${SLICE_ROWS - 1}`,
    );
    const end = last === undefined ? "" : ` and rowid <= ${last.last}`;
    await thread.exec(
      `insert into main."${name}" select * from source."${name}" where rowid >= ${from}${end}`,
    );
    await tell();
    from = last === undefined ? undefined : Number(last.last) + 1;
  }
  const [counts] = await ask(
    `select (select count(*) from main."${name}") as here,
      (select count(*) from source."${name}") as there`,
  );
  if (counts!.here !== counts!.there) throw damaged(`rows of "${name}" can't be read`);
}

function rowsOf(answer: Answered, path: string): readonly Row[] {
  if ("rows" in answer) return answer.rows;
  throw damaged(`${answer.damage} in "${path}"`);
}

function damaged(why: string): Error {
  return new Error(
    `the database stays as it is, for it is damaged: ${why}; run bellhook audit, and restore a backup`,
  );
}
