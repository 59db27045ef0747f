import { openSqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
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
