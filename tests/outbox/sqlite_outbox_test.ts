import { assertEquals, assertRejects } from "@std/assert";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import type { Operation } from "../../src/outbox/sqlite/operations.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { type Applied, Store } from "../../src/outbox/sqlite/store.ts";
import { OutboxUnavailable } from "../../src/outbox/errors.ts";
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

// What is asked after every few rows meets some that are rolled up and some that are not.
for (const batchRows of [1, 3]) {
  outboxContract(`SqliteOutbox that rolls up ${batchRows} rows at a time`, async () => {
    const db = await openWriter(":memory:");
    const parts = { store: new Store(db, { batchRows }), reader: new SqliteReader(db) };
    const outbox = new SqliteOutbox(":memory:", parts);
    return { outbox, reader: outbox };
  });
}

Deno.test("SqliteOutbox: what came after a step of the clock is refused with it, however much that is", async () => {
  const db = await openWriter(":memory:");
  const store = new StepRefusingStore(db);
  const outbox = new SqliteOutbox(":memory:", { store, reader: new SqliteReader(db) });
  const at = Date.UTC(2024, 0, 1);
  const shifted = outbox.shiftDue(at, -3_600_000);
  // More than one commit takes.
  const after = Array.from(
    { length: 600 },
    (_, i) => outbox.remember([{ at, subscription: `sub-${i}`, kind: "paused", cause: "a test" }]),
  );
  const refused = [shifted, ...after].map((each) => assertRejects(() => each, OutboxUnavailable));
  await Promise.all(refused);
  await outbox.shiftDue(at, -3_600_000);
  assertEquals((await outbox.history({ limit: 500 })).items.length, 0);
  await outbox.close();
});

/** It finds no room to move due times the first time. */
class StepRefusingStore extends Store {
  #isFull = true;

  override apply(operations: readonly Operation[], how?: { watched?: boolean }): Applied {
    if (!this.#isFull || operations.every(({ kind }) => kind !== "shiftDue")) {
      return super.apply(operations, how);
    }
    this.#isFull = false;
    throw Object.assign(new Error(), { errcode: 13, errstr: "database or disk is full" });
  }
}
