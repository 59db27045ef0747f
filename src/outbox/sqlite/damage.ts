import { errcodeOf } from "./faults.ts";

/** What the row of a delivery says that ended because it, or its event, can't be read any more. */
export const DAMAGED = "its data is damaged";

/** SQLITE_CORRUPT, and SQLITE_CONSTRAINT_FOREIGNKEY */
const CORRUPT = 11, REFERS_TO_NOTHING = 787;

/** Whether SQLite could not read a row, or what it refers to: pages of the file are not what they were. */
export function isCorrupt(error: unknown): boolean {
  const errcode = errcodeOf(error) ?? 0;
  return (errcode & 0xff) === CORRUPT || errcode === REFERS_TO_NOTHING;
}

/**
 * Does something within a transaction. SQLite commits none that has come upon a damaged page: what it was
 * about is remembered, so that the next try goes without it.
 */
export function orRemember(work: () => void, remember: () => void): void {
  try {
    work();
  } catch (error) {
    if (isCorrupt(error)) remember();
    throw error;
  }
}

/** What is said of a row that is asked for by itself. */
export const UNREADABLE =
  `a row that this needs cannot be read: ${DAMAGED}; run bellhook audit, which names it`;

/** What is read; undefined where it can't be, for its pages are damaged. */
export function unlessCorrupt<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (!isCorrupt(error)) throw error;
    return undefined;
  }
}

/** A row; none where it is not there or can't be read. */
export function ifReadable<Row>(read: () => Row | undefined): Row[] {
  const row = unlessCorrupt(read);
  return row === undefined ? [] : [row];
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
