import type { Answered, Asked } from "./sqlite_thread.ts";

/** The names of the tables whose rows are looked for where the file is damaged. */
const TABLES = [
  "events",
  "deliveries",
  "outcomes",
  "pending",
  "attempts",
  "formats",
  "subscriptions",
  "types",
  "urls",
  "header_names",
  "history",
  "replays",
] as const;

/** So many rows are read at once, until one of them can't be. */
const READ_AT_ONCE = 50;
/** So many damaged rows of a table are enough to know. */
const MOST_TOLD = 1_000;

/** Asks statements one by one, each answered before the next. */
type Asking<Value> = Generator<Asked, Value, Answered>;

/** Where SQLite says that a file is damaged: the rows that it can't read, a sentence each. */
export function* unreadableRows(): Asking<string[]> {
  const told: string[] = [];
  for (const table of TABLES) told.push(...yield* unreadableRowsOf(table));
  return told;
}

function* unreadableRowsOf(table: string): Asking<string[]> {
  const told: string[] = [];
  for (let from = 0; told.length < MOST_TOLD;) {
    const until = yield* numberFrom({
      sql: `select max(rowid) as number from (
        select rowid from ${table} where rowid > :from order by rowid limit ${READ_AT_ONCE}
      )`,
      params: { from },
    });
    if (until === undefined) return told;
    // On pages that changed places the numbers that follow may be smaller ones.
    if (until !== DAMAGED && until > from && !(yield* isUnreadable(table, from, until))) {
      from = until;
      continue;
    }
    // One row at a time, each after the one before, whatever a damaged page says of its numbers.
    const row = yield* nextReadable(table, from);
    if (row === undefined || row > from + 1 && until === DAMAGED) {
      const end = row === undefined ? "" : `and before row ${row} `;
      told.push(`rows of ${table} after row ${from} ${end}can't be read: they are damaged`);
    }
    if (row === undefined) return told;
    if (yield* isUnreadable(table, row - 1, row)) {
      told.push(`row ${row} of ${table} can't be read: it is damaged`);
    }
    from = row;
  }
  return told;
}

const DAMAGED = "damaged";

function* numberFrom(asked: Asked): Asking<number | undefined | typeof DAMAGED> {
  const answer = yield asked;
  if ("damage" in answer) return DAMAGED;
  return (answer.rows[0]?.number as number | null | undefined) ?? undefined;
}

function* isUnreadable(table: string, after: number, until: number): Asking<boolean> {
  const sql = `select * from ${table} where rowid > :after and rowid <= :until`;
  return "damage" in (yield { sql, params: { after, until } });
}

/** The number of a row after another, looked for from twice as far on each time. */
function* nextReadable(table: string, from: number): Asking<number | undefined> {
  const sql = `select min(rowid) as number from ${table} where rowid >= :from`;
  for (let far = 1; far < 2 ** 40; far *= 2) {
    const found = yield* numberFrom({ sql, params: { from: from + far } });
    if (found !== DAMAGED) return found !== undefined && found > from ? found : undefined;
  }
  return undefined;
}
