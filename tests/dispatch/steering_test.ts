import { assertEquals, assertRejects } from "@std/assert";
import { OutboxUnavailable } from "../../src/outbox/errors.ts";
import { anEngine, settled } from "./an_engine.ts";

Deno.test("pause: refused by the disk together with a resume, it leaves nothing paused", async () => {
  await using engine = await anEngine({ status: 200 });
  engine.disk.isFull = true;
  const { operations } = engine;
  const paused = operations.pause("a-subscription", "ann");
  const resumed = operations.resume("a-subscription", "ann");
  await assertRejects(() => paused, OutboxUnavailable);
  await assertRejects(() => resumed, OutboxUnavailable);
  engine.disk.isFull = false;
  await engine.publish();
  await settled();
  assertEquals(engine.requests.length, 1);
});

Deno.test("pause: refused by the disk, it makes no retry be forgotten", async () => {
  await using engine = await anEngine({ status: 500 });
  await engine.publish();
  await settled();
  engine.disk.isFull = true;
  const paused = engine.operations.pause("a-subscription", "ann");
  // It falls due while the pause is on its way to the disk.
  engine.clock.advance(60_000);
  await assertRejects(() => paused, OutboxUnavailable);
  engine.disk.isFull = false;
  await settled();
  assertEquals(engine.requests.length, 2);
});

Deno.test("pause: it and its notice are one commit", async () => {
  await using engine = await anEngine({ status: 200 });
  const before = engine.outbox.commits;
  engine.operations.pause("a-subscription", "ann");
  while (engine.outbox.commits === before) await new Promise((resolve) => setTimeout(resolve, 0));
  const { items } = await engine.outbox.events({ limit: 9 });
  assertEquals(items.map(({ type }) => type), ["subscription.paused"]);
  assertEquals((await engine.outbox.history({ limit: 9 })).items.map(({ kind }) => kind), [
    "paused",
  ]);
});

Deno.test("cancel: what it refuses is named by the state it has by then", async () => {
  await using engine = await anEngine();
  const submitted = await engine.publish();
  await settled();
  if (submitted.kind !== "accepted") throw new Error(submitted.kind);
  const { id } = submitted.receipts[0]!.deliveries[0]!;
  // It is delivered in the commit in which it would have been cancelled.
  engine.unanswered[0]!.answer(200);
  for (let turn = 0; turn < 20; turn++) await undefined;
  assertEquals(await engine.operations.cancel(id, "ann"), {
    kind: "refused",
    why: `delivery "${id}" is delivered already; a final state stays`,
  });
});

Deno.test("reload: a config that is rejected is told and remembered in one commit", async () => {
  await using engine = await anEngine();
  const before = engine.outbox.commits;
  await engine.reloadWith(undefined);
  // The notice's own delivery is recorded later.
  assertEquals(engine.outbox.commits, before + 1);
});

Deno.test("reload: a rejected config that could not be told of is told when it is tried again", async () => {
  await using engine = await anEngine();
  engine.disk.isFull = true;
  const report = await engine.reloadWith(undefined) as { kind: string };
  assertEquals(report.kind, "rejected");
  engine.disk.isFull = false;
  await engine.reloadWith(undefined);
  await engine.reloadWith(undefined);
  const { items } = await engine.outbox.events({ limit: 9 });
  assertEquals(items.map(({ type }) => type), ["config.rejected"]);
});

Deno.test("reload: since when one is disabled, an attempt recorded meanwhile doesn't change", async () => {
  await using engine = await anEngine();
  await engine.publish();
  await settled();
  engine.clock.advance(60_000);
  const [subscription] = engine.config.subscriptions;
  const disabled = { ...subscription!, enabled: false };
  engine.unanswered[0]!.answer(200);
  await engine.reloadWith({ ...engine.config, subscriptions: [disabled] });
  await settled();
  const stored = (await engine.outbox.health()).get("a-subscription");
  assertEquals(stored?.changedAt, engine.clock.wall());
});
