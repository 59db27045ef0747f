import { assertEquals } from "@std/assert";
import { HealthBoard } from "../../src/dispatch/health_board.ts";
import { MemoryOutbox } from "../../src/outbox/memory/memory_outbox.ts";
import { NOON } from "../outbox/building.ts";

Deno.test("health board: since when one is disabled stands, though an attempt was being stored", async () => {
  const outbox = new MemoryOutbox();
  const board = new HealthBoard(outbox, new Map());
  const stored = Promise.withResolvers<void>();
  const storing = board.whileStoring("crm", () => stored.promise);
  board.switched([{ id: "crm" }], NOON);
  stored.resolve();
  await storing;
  assertEquals(board.of("crm").changedAt, NOON);
  await outbox.close();
  assertEquals(board.of("crm").changedAt, NOON);
  assertEquals((await outbox.health()).get("crm")?.changedAt, NOON);
});
