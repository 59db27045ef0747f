import type { DatabaseSync, StatementSync } from "node:sqlite";

/** Statements by name. */
export type Statements<Name extends string> = Readonly<Record<Name, StatementSync>>;

/** Prepares statements, each under its name. */
export function prepareAll<Name extends string>(
  db: DatabaseSync,
  sql: Readonly<Record<Name, string>>,
): Statements<Name> {
  const prepared = Object.entries<string>(sql).map(([name, text]) => [name, db.prepare(text)]);
  return Object.fromEntries(prepared);
}

/** How a row of counts that is there already takes more. */
export const ADD_TO_COUNTS = `
    on conflict (subscription) do update set
      pending = pending + excluded.pending,
      delivered = delivered + excluded.delivered,
      exhausted = exhausted + excluded.exhausted,
      cancelled = cancelled + excluded.cancelled`;
