import type { DatabaseSync } from "node:sqlite";
import type { Namesake } from "../reader.ts";
import { type Bytes, equalBytes, toBytes, toNullableBytes, toText } from "./bytes.ts";
import { prepareAll, type Statements } from "./statements.ts";

/** Finds events by the ids that publishers chose and receivers get: several may have the same. */
export class NamedEvents {
  readonly #sql: Statements<keyof typeof NAMED_SQL>;

  constructor(db: DatabaseSync) {
    this.#sql = prepareAll(db, NAMED_SQL);
  }

  /** The event that receivers know by this id, else the first that has it. */
  find(id: string, publisher?: string): NamedRow | undefined {
    const rows = this.all(id, publisher), bytes = toBytes(id);
    return rows.find((row) => equalBytes(row.sent_as ?? row.id, bytes)) ?? rows[0];
  }

  /** All that have this id, the first stored come first. */
  all(id: string, publisher?: string): NamedRow[] {
    const rows = this.#sql.named.all({ id: toBytes(id), publisher: toNullableBytes(publisher) });
    return (rows as unknown as NamedRow[]).sort((a, b) => a.seq - b.seq);
  }

  /** The others that have the same id. */
  namesakesOf({ seq, id }: Pick<NamedRow, "seq" | "id">): Namesake[] {
    return this.all(toText(id))
      .filter((other) => other.seq !== seq && equalBytes(other.id, id))
      .slice(0, MOST_NAMED - 1).map(namesakeFromRow);
  }
}

/** What `named` selects. */
export interface NamedRow {
  readonly seq: number;
  readonly id: Bytes;
  readonly publisher: Bytes | null;
  readonly source: Bytes | null;
  readonly sent_as: Bytes | null;
}

/** So many of an id, without a source and with one, are looked at: publishers may post no end of them. */
const MOST_NAMED = 21;

function namesakeFromRow({ publisher, source, sent_as }: NamedRow): Namesake {
  return {
    ...(publisher === null ? {} : { publisher: toText(publisher) }),
    ...(source === null ? {} : { source: toText(source) }),
    ...(sent_as === null ? {} : { sentAs: toText(sent_as) }),
  };
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const NAMED_SQL = {
  named: `
    select seq, id, publisher, source, sent_as from events indexed by events_by_sent_as
    where sent_as = :id and coalesce(:publisher, publisher, x'') = coalesce(publisher, x'')
    union all
    select * from (
      select seq, id, publisher, source, sent_as from events indexed by events_by_id
      where id = :id and source is null
        and coalesce(:publisher, publisher, x'') = coalesce(publisher, x'')
      limit ${MOST_NAMED}
    )
    union all
    select * from (
      select seq, id, publisher, source, sent_as from events indexed by events_by_source
      where id = :id and source is not null
        and coalesce(:publisher, publisher, x'') = coalesce(publisher, x'')
      limit ${MOST_NAMED}
    )`,
} as const;
