import { assertEquals } from "@std/assert";
import { anEngine, settled } from "./an_engine.ts";

const HOUR_MS = 3_600_000;
/** By then a clock that was set has been noticed. */
const NOTICED_MS = 10_000;

Deno.test("clock: set back, it holds nothing that was due before", async () => {
  await using engine = await anEngine({ status: 200 });
  await engine.operations.pause("a-subscription", "ann");
  await engine.publish();
  engine.clock.step(-24 * HOUR_MS);
  engine.clock.advance(NOTICED_MS);
  await settled();
  await engine.operations.resume("a-subscription", "ann");
  await settled();
  assertEquals(engine.requests.length, 1);
});

Deno.test("clock: set back while an attempt is being recorded, it delays no retry", async () => {
  await using engine = await anEngine();
  await engine.publish();
  await settled();
  engine.unanswered[0]!.answer(500);
  // The answer is judged in these turns of the promises; the commit takes one of the event loop.
  for (let turn = 0; turn < 20; turn++) await undefined;
  engine.clock.step(-HOUR_MS);
  engine.clock.advance(NOTICED_MS);
  await settled();
  engine.clock.advance(60_000 - NOTICED_MS);
  await settled();
  assertEquals(engine.requests.length, 2);
});

Deno.test("clock: set back while an operator puts a retry forward, it does not delay it", async () => {
  await using engine = await anEngine({ status: 500 });
  const submitted = await engine.publish();
  await settled();
  if (submitted.kind !== "accepted") throw new Error(submitted.kind);
  const retried = engine.operations.retry(submitted.receipts[0]!.deliveries[0]!.id, "ann");
  for (let turn = 0; turn < 20; turn++) await undefined;
  engine.clock.step(-HOUR_MS);
  engine.clock.advance(NOTICED_MS);
  await retried;
  await settled();
  assertEquals(engine.requests.length, 2);
});

Deno.test("clock: set forwards, it lets no retry start early whose attempt the disk refused", async () => {
  await using engine = await anEngine();
  await engine.publish();
  engine.clock.advance(NOTICED_MS - 500);
  await settled();
  engine.disk.isFull = true;
  engine.unanswered[0]!.answer(500);
  await settled();
  engine.clock.step(HOUR_MS);
  engine.disk.isFull = false;
  engine.clock.advance(500);
  await settled();
  engine.clock.advance(500);
  await settled();
  engine.clock.advance(60_000 - 1_000 - 1);
  await settled();
  assertEquals(engine.requests.length, 1);
  engine.clock.advance(1);
  await settled();
  assertEquals(engine.requests.length, 2);
});

Deno.test("clock: set back, it does not hold the notice of an attempt that the disk refused", async () => {
  await using engine = await anEngine({ ladder: { waitsMs: [] } });
  await engine.publish();
  engine.clock.advance(NOTICED_MS - 500);
  await settled();
  engine.disk.isFull = true;
  engine.unanswered[0]!.answer(500);
  await settled();
  engine.clock.step(-HOUR_MS);
  engine.disk.isFull = false;
  engine.clock.advance(500);
  await settled();
  engine.clock.advance(500);
  await settled();
  const pending = await engine.outbox.pending();
  assertEquals(pending, new Map());
});
