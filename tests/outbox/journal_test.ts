import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { Journal } from "../../src/outbox/sqlite/journal.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { aNewEvent, NOON } from "./building.ts";

Deno.test("Journal: nobody begins it anew before what was moved is synced", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/outbox.db`;
  const db = await openWriter(path);
  const store = new Store(db);
  const journal = await Journal.takeOver(db, path);
  using other = new DatabaseSync(path);
  const write = () => other.exec("create table if not exists t (a); insert into t values (1)");

  store.apply([{ kind: "enqueue", request: { events: [aNewEvent()], at: NOON } }]);
  await journal.sync();
  assert(store.pages.journal().waiting > 0);
  const begun = await saltOf(path);
  const moving = journal.move(() => store.pages.checkpoint());
  assertEquals(store.pages.journal().waiting, 0);
  write();
  assertEquals(await saltOf(path), begun, "written over while it was being synced");
  await moving;

  await journal.move(() => store.pages.checkpoint());
  write();
  assertNotEquals(await saltOf(path), begun, "begun anew, once it may be");
  store.close();
  journal.leave();
  journal.close();
  await Deno.remove(folder, { recursive: true });
});

/** What is another each time that the journal is begun (sqlite.org, WAL format). */
async function saltOf(path: string): Promise<Uint8Array> {
  return (await Deno.readFile(`${path}-wal`)).slice(16, 24);
}
