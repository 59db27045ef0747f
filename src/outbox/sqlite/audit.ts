import type { DatabaseSync } from "node:sqlite";
import type { Audit } from "../reader.ts";
import {
  type Check,
  CLOCK_CHECKS,
  COUNTS_CHECK,
  DELIVERY_CHECKS,
  EVENT_CHECKS,
  jsonCheck,
  LIST_CHECKS,
  type ListCheck,
  QUICK_STRUCTURE,
  type Reference,
  referenceCheck,
  REFERENCES,
  STRUCTURE,
} from "./audit_checks.ts";
import { STATES } from "./schema.ts";
import {
  type Answered,
  answerTo,
  type Asked,
  type Row,
  type SqliteThread,
} from "./sqlite_thread.ts";
import { unreadableRows } from "./unreadable_rows.ts";
import type { Progress } from "../../runtime/long_work.ts";

/** Holds the promises against the rows of a connection, on this thread. */
export function auditDatabase(db: DatabaseSync): Audit {
  const asking = auditing();
  for (let next = asking.next();;) {
    if (next.done) return next.value;
    db.exec("begin");
    try {
      next = asking.next(next.value.statements.map((asked) => answerTo(db, asked)));
    } finally {
      if (db.isTransaction) db.exec("rollback");
    }
  }
}

/**
 * The same on another thread, in slices: no snapshot stands for long, except where SQLite checks the
 * structure of a table.
 */
export async function auditOn(
  thread: SqliteThread,
  onProgress: (progress: Progress) => void = () => {},
  sliceRows = SLICE_ROWS,
): Promise<Audit> {
  const asking = auditing(sliceRows);
  for (let next = asking.next();;) {
    if (next.done) return next.value;
    onProgress(next.value.progress);
    next = asking.next(await thread.read(next.value.statements));
  }
}

/** Throws where SQLite finds the b-trees of a file damaged, table by table; indexes are not compared. */
export async function assertSound(
  thread: SqliteThread,
  path: string,
  onProgress: (progress: Progress) => void,
): Promise<void> {
  const [answer] = await thread.read([{ sql: TABLES }]);
  const tables = answer !== undefined && "rows" in answer ? answer.rows : [];
  const faults = new Faults();
  for (const [done, { name }] of tables.entries()) {
    onProgress({ done, total: tables.length });
    const asked = { sql: QUICK_STRUCTURE.sql, params: { table: String(name) } };
    faults.take(QUICK_STRUCTURE, (await thread.read([asked]))[0]!, ` in "${name}"`);
  }
  const [fault] = tables.length === 0 ? ["its schema can't be read"] : faults.all();
  if (fault !== undefined) throw new DamagedCopyError(path, fault);
}

/** Thrown where a copy is damaged, as the database may be that it was made of. */
export class DamagedCopyError extends Error {
  override readonly name = "DamagedCopyError";

  constructor(readonly path: string, fault: string) {
    super(`the copy at "${path}" is damaged: ${fault}; run bellhook audit on the database itself`);
  }
}

/** How every fault begins that is the file's own. */
export const DAMAGED = "the file is damaged";

/** A batch of statements that are to see one moment, and how far the audit is. */
interface Batch {
  readonly statements: readonly Asked[];
  readonly progress: Progress;
}

type Asking<Value> = Generator<Batch, Value, Answered[]>;

/** So many rows and what belongs to them are looked at in some tenths of a second. */
const SLICE_ROWS = 20_000;

/** A database that is badly broken would fill the memory with its faults. */
const MOST_FAULTS = 1_000;

const TABLES = `
  select 'sqlite_schema' as name union all
  select name from sqlite_schema where type = 'table' order by 1`;

const SIZES = `
  select coalesce((select max(seq) - min(seq) + 1 from events), 0) as events,
    coalesce((select max(seq) - min(seq) + 1 from deliveries), 0) as deliveries,
    coalesce((select max(seq) - min(seq) + 1 from attempts), 0) as attempts`;

/** What is held against the rows of a table, slice by slice. */
const CHECKS: ReadonlyMap<string, readonly Check[]> = new Map([
  ["events", [...EVENT_CHECKS, jsonCheck("events", ["data", "scope", "metadata"])]],
  ["deliveries", [...DELIVERY_CHECKS, ...CLOCK_CHECKS]],
  ["attempts", [jsonCheck("attempts", ["request_headers", "response_headers"])]],
  ["formats", [jsonCheck("formats", ["name"])]],
  ["header_names", [jsonCheck("header_names", ["name"])]],
]);

const COUNTS: ReadonlyMap<string, string> = new Map([
  ["events", "select 'events' as name, count(*) as n from events"],
  ["attempts", "select 'attempts' as name, count(*) as n from attempts"],
  ["deliveries", "select state as name, count(*) as n from deliveries_now"],
]);

function* auditing(sliceRows = SLICE_ROWS): Asking<Audit> {
  return yield* new Auditing(sliceRows).run();
}

/** One audit, and how far it is. */
class Auditing {
  readonly #sliceRows: number;
  readonly #found = new Faults();
  readonly #notes = new Faults();
  readonly #counts = new Map<unknown, number>();
  #sizes = new Map<string, number>();
  #done = 0;
  #total = 1;

  constructor(sliceRows: number) {
    this.#sliceRows = sliceRows;
  }

  *run(): Asking<Audit> {
    const [tables, sizes, references] = yield* this.#ask([
      { sql: TABLES },
      { sql: SIZES },
      { sql: REFERENCES },
    ]);
    this.#sizes = new Map(Object.entries(sizes![0] ?? {}) as [string, number][]);
    const [events, deliveries, attempts] = ["events", "deliveries", "attempts"].map((table) =>
      this.#rows(table)
    ) as [number, number, number];
    // Each is looked at twice, in its structure and by its rows; lists and counts come on top.
    this.#total = 1 + 4 * events + 5 * deliveries + 2 * attempts;
    for (const { name } of tables!) {
      yield* this.#hold([STRUCTURE], { table: String(name) }, ` in "${name}"`);
      this.#done += this.#rows(String(name));
    }
    const referring = Map.groupBy(references as unknown as Reference[], ({ child }) => child);
    for (const table of new Set([...CHECKS.keys(), ...referring.keys()])) {
      const ofReferences = (referring.get(table) ?? []).map(referenceCheck);
      yield* this.#holdTable(table, [...ofReferences, ...(CHECKS.get(table) ?? [])]);
    }
    for (const check of LIST_CHECKS) yield* this.#holdList(check);
    yield* this.#hold([COUNTS_CHECK], undefined, ' in "deliveries" or "counts"');
    const unreadable = this.#found.isDamaged ? yield* unreadableRowsIn(this.#progress) : [];
    return this.#result(unreadable);
  }

  #rows(table: string): number {
    return this.#sizes.get(table) ?? 0;
  }

  get #progress(): Progress {
    return { done: Math.min(this.#done, this.#total), total: this.#total };
  }

  *#ask(statements: readonly Asked[]): Asking<(readonly Row[])[]> {
    const answers = yield { statements, progress: this.#progress };
    return answers.map((answer) => this.#found.rowsOf(answer));
  }

  *#hold(
    checks: readonly Check[],
    params: NonNullable<Asked["params"]> | undefined,
    where: string,
  ): Asking<void> {
    const open = checks.filter((check) => !this.#found.isFull(check) && !this.#notes.isFull(check));
    const statements = open.map(({ sql }) =>
      params ? { sql: limited(sql), params } : { sql: limited(sql) }
    );
    const answers = yield { statements, progress: this.#progress };
    for (const [index, answer] of answers.entries()) {
      const check = open[index]!;
      (CLOCK_CHECKS.includes(check) ? this.#notes : this.#found).take(check, answer, where);
    }
  }

  /** Slice by slice, in the order of its rows' numbers. */
  *#holdTable(table: string, checks: readonly Check[]): Asking<void> {
    for (let from: number | undefined = SMALLEST; from !== undefined;) {
      const [last]: (readonly Row[])[] = yield* this.#ask([{
        sql: `select rowid as "to" from "${table}" where rowid >= :from
          order by rowid limit 1 offset ${this.#sliceRows - 1}`,
        params: { from },
      }]);
      const found = last![0]?.to as number | undefined;
      // On pages that changed places the numbers that follow may be smaller ones.
      const to: number = found !== undefined && found >= from ? found : LARGEST;
      const begin = from === SMALLEST ? "up" : from, end = to === LARGEST ? "the last" : to;
      yield* this.#hold(checks, { from, to }, ` at rows ${begin} to ${end} of "${table}"`);
      yield* this.#count(table, { from, to });
      this.#done += this.#rows(table) === 0 ? 0 : this.#sliceRows;
      from = to === LARGEST ? undefined : to + 1;
    }
  }

  *#count(table: string, params: { from: number; to: number }): Asking<void> {
    const count = COUNTS.get(table);
    if (count === undefined) return;
    const sql = `${count} where seq between :from and :to group by 1`;
    const [counted] = yield* this.#ask([{ sql, params }]);
    for (const { name, n } of counted!) {
      this.#counts.set(name, (this.#counts.get(name) ?? 0) + Number(n));
    }
  }

  /** Slice by slice, from one place in the list to another. */
  *#holdList(check: ListCheck): Asking<void> {
    for (let place: Place | undefined = { key: -1, at: 0, row: 0 }; place !== undefined;) {
      const params = { ...place, rows: this.#sliceRows };
      const [next]: (readonly Row[])[] = yield* this.#ask([{ sql: check.slice, params }]);
      const found = next![0] as unknown as Place | undefined;
      const to: Place | undefined = found && isAfter(found, place) ? found : undefined;
      const { key, at, row }: Place = to ?? { key: LARGEST, at: LARGEST, row: LARGEST };
      const slice = { ...place, toKey: key, toAt: at, toRow: row };
      yield* this.#hold([check], slice, ` in ${check.table}`);
      this.#done += this.#sliceRows;
      place = to;
    }
  }

  #result(unreadable: readonly string[]): Audit {
    const deliveries = { pending: 0, delivered: 0, exhausted: 0, cancelled: 0 };
    for (const [number, name] of STATES.entries()) deliveries[name] = this.#counts.get(number) ?? 0;
    return {
      events: this.#counts.get("events") ?? 0,
      deliveries,
      attempts: this.#counts.get("attempts") ?? 0,
      faults: [...this.#found.all(), ...unreadable],
      notes: this.#notes.all(),
    };
  }
}

/** The rows that can't be read, each looked for by itself. */
function* unreadableRowsIn(progress: Progress): Asking<string[]> {
  const asking = unreadableRows();
  for (let next = asking.next();;) {
    if (next.done) return next.value;
    const [answer] = yield { statements: [next.value], progress };
    next = asking.next(answer!);
  }
}

const SMALLEST = Number.MIN_SAFE_INTEGER;
const LARGEST = Number.MAX_SAFE_INTEGER;

/** A row of a list. */
interface Place {
  readonly key: number;
  readonly at: number;
  readonly row: number;
}

function isAfter(a: Place, b: Place): boolean {
  return (a.key - b.key || a.at - b.at || a.row - b.row) > 0;
}

/** What was found, each sentence once: a damaged file may be told of by several checks. */
class Faults {
  readonly #damage = new Set<string>();
  readonly #byCheck = new Map<Check, string[]>();

  /** The rows of an answer; that they can't be read is a fault. */
  rowsOf(answer: Answered, where = ""): readonly Row[] {
    if ("rows" in answer) return answer.rows;
    this.#damage.add(`${DAMAGED}: ${answer.damage}${where}`);
    return [];
  }

  take(check: Check, answer: Answered, where: string): void {
    const rows = this.rowsOf(answer, where);
    if (rows.length === 0) return;
    const faults = this.#byCheck.get(check) ?? [];
    this.#byCheck.set(check, faults);
    const broken = check.isFault ? rows.filter(check.isFault) : rows;
    faults.push(...broken.slice(0, MOST_FAULTS - faults.length).map(check.say));
    if (faults.length === MOST_FAULTS) {
      faults.push(`… and maybe more of the same kind as the last ${MOST_FAULTS}`);
    }
  }

  /** Whether the file is damaged: rows of it may be unreadable. */
  get isDamaged(): boolean {
    return this.all().some((fault) => fault.startsWith(DAMAGED));
  }

  /** Whether nobody wants to read of any more. */
  isFull(check: Check): boolean {
    return (this.#byCheck.get(check)?.length ?? 0) >= MOST_FAULTS;
  }

  all(): string[] {
    return [...new Set([...this.#damage, ...[...this.#byCheck.values()].flat()])];
  }
}

function limited(sql: string): string {
  return `select * from (${sql}) limit ${MOST_FAULTS + 1}`;
}
