import { assertEquals } from "@std/assert";
import { formatInstant } from "../../src/domain/instant.ts";
import { HOUSE_LADDER } from "../../src/domain/ladder.ts";
import { anEngine, settled } from "./an_engine.ts";

Deno.test("dispatcher: an attempt cancelled under way still tells how its subscription does", async () => {
  await using engine = await anEngine({ ladder: { waitsMs: [] } });
  const submitted = await engine.publish();
  await settled();
  if (submitted.kind !== "accepted") throw new Error(submitted.kind);
  await engine.operations.cancel(submitted.receipts[0]!.deliveries[0]!.id, "ann");
  engine.unanswered[0]!.answer(500);
  await settled();
  const { items } = await engine.outbox.history({ limit: 9, subscription: "a-subscription" });
  assertEquals(items.map(({ kind }) => kind), ["failing", "cancelled"]);
  const events = await engine.outbox.events({ limit: 9 });
  assertEquals(events.items.map(({ type }) => type), ["subscription.failing", "t"]);
});

Deno.test("dispatcher: what began to fail while it was paused is told with the time of that", async () => {
  await using engine = await anEngine({ ladder: { waitsMs: [] } });
  await engine.publish();
  await settled();
  await engine.operations.pause("a-subscription", "ann");
  engine.clock.advance(5_000);
  engine.unanswered[0]!.answer(500);
  await settled();
  const { items } = await engine.outbox.events({ limit: 9, type: "subscription.failing" });
  assertEquals(JSON.parse(items[0]!.data).since, formatInstant(engine.clock.wall()));
  const health = await engine.outbox.health();
  assertEquals(health.get("a-subscription")?.changedAt, engine.clock.wall() - 5_000);
});

Deno.test("dispatcher: attempts that the disk refused tell each change of health once and in order", async () => {
  await using engine = await anEngine({ ladder: { waitsMs: [] } });
  await engine.publish();
  await engine.publish();
  await settled();
  const [first, second] = engine.unanswered;
  engine.disk.isFull = true;
  first!.answer(500);
  await settled();
  engine.disk.isFull = false;
  second!.answer(200);
  await settled();
  engine.clock.advance(1_000);
  await settled();
  const { items } = await engine.outbox.history({ limit: 9, subscription: "a-subscription" });
  assertEquals(items.map(({ kind }) => kind), ["failing"]);
  const health = await engine.outbox.health();
  assertEquals(health.get("a-subscription")?.failingSince !== undefined, true);
});

Deno.test("dispatcher: notices that are refused, sent again too, give rise to no notice", async () => {
  // A channel that answers 410 is asked again like any other: nobody would hear that it is paused.
  const refusing = { status: 500, noticeStatus: 410, ladder: { waitsMs: [] } };
  await using engine = await anEngine(refusing);
  const climb = async () => {
    for (const waitMs of HOUSE_LADDER.waitsMs) {
      await settled();
      engine.clock.advance(1.1 * waitMs);
    }
    await settled();
  };
  await engine.publish();
  await climb();
  const told = await engine.outbox.deliveries({ limit: 50 });
  const notice = told.items.find(({ type }) => type === "subscription.failing")!;
  await engine.operations.retry(notice.id, "ann");
  await climb();
  await climb();
  const { items } = await engine.outbox.deliveries({ limit: 50 });
  assertEquals(items.map(({ cause, state, attemptCount }) => [cause, state, attemptCount]), [
    ["redelivery", "exhausted", 6],
    ["notice", "exhausted", 6],
    ["notice", "exhausted", 6],
    ["event", "exhausted", 1],
  ]);
});

Deno.test("dispatcher: of a success so much is kept as keepResponse says, of a failure 64 KiB", async () => {
  const body = new TextEncoder().encode("x".repeat(10_000));
  await using engine = await anEngine({ keepResponseBytes: 4_096, ladder: { waitsMs: [1_000] } });
  const submitted = await engine.publish();
  await settled();
  engine.unanswered[0]!.answer(500, body);
  await settled();
  engine.clock.advance(1_000);
  await settled();
  engine.unanswered[1]!.answer(200, body);
  await settled();
  if (submitted.kind !== "accepted") throw new Error(submitted.kind);
  const attempts = await engine.outbox.attempts(submitted.receipts[0]!.deliveries[0]!.id);
  const kept = attempts.map(({ outcome }) =>
    outcome.kind === "answered" ? [outcome.status, outcome.body.length, outcome.truncated] : []
  );
  assertEquals(kept, [[500, 10_000, false], [200, 4_096, true]]);
});
