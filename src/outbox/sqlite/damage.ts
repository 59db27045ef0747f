import type { DatabaseSync } from "node:sqlite";
import { type Bytes, toText } from "./bytes.ts";
import { errcodeOf } from "./faults.ts";

/** What the row of a delivery says that ended because it, or its event, can't be read any more. */
export const DAMAGED = "its data is damaged";

/** SQLITE_CORRUPT */
const CORRUPT = 11;

/** Whether SQLite could not read a row: pages of the file are not what they were. */
export function isCorrupt(error: unknown): boolean {
  return ((errcodeOf(error) ?? 0) & 0xff) === CORRUPT;
}

/** What is said of a row that is asked for by itself. */
export const UNREADABLE =
  `a row that this needs cannot be read: ${DAMAGED}; run bellhook audit, which names it`;

/** A row; none where it is not there or can't be read. */
export function ifReadable<Row>(read: () => Row | undefined): Row[] {
  const row = orCorrupt(read);
  return row === undefined || row === CORRUPTED ? [] : [row];
}

/**
 * Whether a text is JSON. Control characters may stand in it as they are, which the runtime refuses, and
 * it may be nested more than a thousand deep, which SQLite's own check refuses.
 */
export function isJson(text: string): boolean {
  try {
    // deno-lint-ignore no-control-regex
    JSON.parse(text.replace(/[\0-\x1f]/g, " "));
    return true;
  } catch {
    return false;
  }
}

/** The names of the tables whose rows an audit looks for where the file is damaged. */
const TABLES = [
  "events",
  "deliveries",
  "attempts",
  "formats",
  "subscriptions",
  "types",
  "history",
  "replays",
] as const;

/** So many rows are read at once, until one of them can't be. */
const READ_AT_ONCE = 50;

/** Where SQLite says that a file is damaged: the rows that it can't read, a sentence each. */
export function unreadableRows(db: DatabaseSync): string[] {
  return TABLES.flatMap((table) => [...unreadableRowsOf(db, table)]);
}

function* unreadableRowsOf(db: DatabaseSync, table: string): Generator<string> {
  const last = db.prepare(
    `select max(rowid) as last from (
      select rowid from ${table} where rowid > ? order by rowid limit ${READ_AT_ONCE}
    )`,
  );
  const next = db.prepare(`select min(rowid) as next from ${table} where rowid >= ?`);
  const rows = db.prepare(`select * from ${table} where rowid > ? and rowid <= ?`);
  const nextFrom = (row: number) => orCorrupt(() => next.get(row)!.next as number | null);
  const isUnreadable = (from: number, until: number) =>
    orCorrupt(() => rows.all(from, until)) === CORRUPTED;
  for (let from = 0, told = 0; told < MOST_TOLD;) {
    const until = orCorrupt(() => last.get(from)!.last as number | null);
    if (until === null) return;
    if (until !== CORRUPTED && !isUnreadable(from, until)) {
      from = until;
      continue;
    }
    // One row at a time, each after the one before, whatever a damaged page says of its numbers.
    const row = nextReadable(from, nextFrom);
    if (row === undefined || row > from + 1 && until === CORRUPTED) {
      const end = row === undefined ? "" : `and before row ${row} `;
      yield `rows of ${table} after row ${from} ${end}can't be read: they are damaged`;
      told++;
    }
    if (row === undefined) return;
    if (isUnreadable(row - 1, row)) {
      yield `row ${row} of ${table} can't be read: it is damaged`;
      told++;
    }
    from = row;
  }
}

/** So many damaged rows of a table are enough to know. */
const MOST_TOLD = 1_000;

/** The number of a row after another, looked for from twice as far on each time. */
function nextReadable(
  from: number,
  nextFrom: (row: number) => number | null | typeof CORRUPTED,
): number | undefined {
  for (let far = 1; far < 2 ** 40; far *= 2) {
    const found = nextFrom(from + far);
    if (found !== CORRUPTED) return found !== null && found > from ? found : undefined;
  }
  return undefined;
}

const CORRUPTED = "corrupt";

function orCorrupt<Value>(read: () => Value): Value | typeof CORRUPTED {
  try {
    return read();
  } catch (error) {
    // A row whose number is larger than any that we give is as damaged.
    const isTooLarge = (error as { code?: string }).code === "ERR_OUT_OF_RANGE";
    if (!isCorrupt(error) && !isTooLarge) throw error;
    return CORRUPTED;
  }
}

/** A table's columns that hold JSON. */
interface JsonColumns {
  readonly table: string;
  readonly columns: readonly string[];
}

const JSON_COLUMNS: readonly JsonColumns[] = [
  { table: "events", columns: ["data", "scope", "metadata"] },
  { table: "formats", columns: ["name"] },
  { table: "attempts", columns: ["request_headers", "response_headers"] },
];

/** Rows whose JSON is none any more, as checks of an audit. */
export const JSON_CHECKS = JSON_COLUMNS.map(({ table, columns }) => {
  const isBroken = (column: string) => `json_valid(cast(${column} as text)) = 0`;
  return {
    sql: `select rowid as number, ${columns.join(", ")} from ${table}
      where ${columns.map(isBroken).join(" or ")}`,
    isFault: (row: Readonly<Record<string, unknown>>) => brokenColumns(row, columns).length > 0,
    say: (row: Readonly<Record<string, unknown>>) =>
      `row ${row.number} of ${table} is damaged: ${
        brokenColumns(row, columns).join(" and ")
      } is no JSON any more`,
  };
});

function brokenColumns(row: Readonly<Record<string, unknown>>, columns: readonly string[]) {
  return columns.filter((column) => row[column] !== null && !isJson(toText(row[column] as Bytes)));
}
