import type { DatabaseSync } from "node:sqlite";
import type { Space } from "../reader.ts";

/** Asks a database that is open how large it is. */
export function spaceOf(db: DatabaseSync): Space {
  const ask = (sql: string) => Number(Object.values(db.prepare(sql).get()!)[0]);
  const pageBytes = ask("pragma page_size");
  return {
    bytes: ask("pragma page_count") * pageBytes,
    freeBytes: ask("pragma freelist_count") * pageBytes,
  };
}
