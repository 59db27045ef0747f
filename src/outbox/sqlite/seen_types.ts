import type { DatabaseSync } from "node:sqlite";
import type { Instant } from "../../domain/instant.ts";
import type { Turn } from "../../runtime/turn.ts";
import type { SeenTypes } from "../reader.ts";
import { type Bytes, toText } from "./bytes.ts";
import { prepareAll } from "./statements.ts";

/** So many types are looked at in one go: each takes a look-up or two. */
const TYPES_AT_ONCE = 50;

/**
 * The types of the events that publishers posted since an instant. Events of tests and notices are left
 * out, as far as the latest of a type tell. Undefined where there are more types than `most`.
 */
export async function seenTypes(
  db: DatabaseSync,
  { since, most, turn }: { since: Instant; most: number; turn: Turn },
): Promise<SeenTypes | undefined> {
  const sql = prepareAll(db, SEEN_SQL);
  const types = new Set<string>();
  for (const { name } of sql.seenNew.all({ since }) as unknown as { name: Bytes }[]) {
    types.add(toText(name));
  }
  let after = 0;
  for (let looked = 0; looked <= most; looked += TYPES_AT_ONCE) {
    const rows = sql.seenTypes.all({ since, after, limit: TYPES_AT_ONCE }) as unknown as TypeRow[];
    for (const { name, seen } of rows) if (seen === 1) types.add(toText(name));
    if (rows.length < TYPES_AT_ONCE) {
      const { at } = sql.oldestRecord.get() as unknown as { at: Instant | null };
      return { types, ...(at !== null && { recordedSince: at }) };
    }
    after = rows.at(-1)!.id;
    if (turn.isOver) await turn.rest();
  }
  return undefined;
}

interface TypeRow {
  readonly id: number;
  readonly name: Bytes;
  readonly seen: number;
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const SEEN_SQL = {
  seenTypes: `
    select t.id, t.name, exists (
      select 1 from (
        select event from events_of_type where type = t.id and accepted_at >= :since
        order by accepted_at desc, event desc limit 20
      ) recent
      where not exists (
        select 1 from deliveries d
        where d.event = recent.event and (d.cause = 'test' or d.cause = 'notice')
      )
    ) as seen
    from types t where t.id > :after order by t.id limit :limit`,

  // What events_of_type lacks.
  seenNew: `
    select distinct t.name from events e join types t on t.id = e.type
    where e.seq > (select event from rolled_up) and e.accepted_at >= :since and not exists (
      select 1 from deliveries d
      where d.event = e.seq and (d.cause = 'test' or d.cause = 'notice')
    )`,

  oldestRecord: `
    select min(at) as at from (
      select min(accepted_at) as at from events_of_type where type = 0
      union all select min(accepted_at) from events
        where seq > (select event from rolled_up)
      union all select min(starts_at) from tallies
      union all select min(at) from history
    )`,
} as const;
