import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { openSqliteOutbox, SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { outboxContract } from "./outbox_contract.ts";

outboxContract("SqliteOutbox in memory", async () => {
  const outbox = await openSqliteOutbox(":memory:");
  return { outbox, reader: outbox };
});

outboxContract("SqliteOutbox on disk", async () => {
  const folder = await Deno.makeTempDir();
  const outbox = await openSqliteOutbox(`${folder}/outbox.db`);
  return { outbox, reader: outbox, forget: () => Deno.remove(folder, { recursive: true }) };
});

// What is asked after every few rows meets some that are indexed and some that are fresh.
for (const biteRows of [1, 3]) {
  outboxContract(`SqliteOutbox that indexes ${biteRows} at a time`, async () => {
    const db = await openWriter(":memory:");
    const parts = { store: new Store(db, { biteRows }), reader: new SqliteReader(db) };
    const outbox = new SqliteOutbox(":memory:", parts);
    return { outbox, reader: outbox };
  });
}
