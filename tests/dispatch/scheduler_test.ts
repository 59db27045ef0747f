import { assert, assertEquals } from "@std/assert";
import { silentLog } from "../../src/runtime/log.ts";
import { MachineFault } from "../../src/transport/transport.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { anEngine, settled } from "./an_engine.ts";

Deno.test("scheduler: the rate limit counts from when an attempt started, not from the millisecond before", async () => {
  await using engine = await anEngine({ status: 200, rateLimit: { count: 1, perMs: 1_000 } });
  engine.clock.advance(0.9);
  await engine.publish();
  await engine.publish();
  engine.clock.advance(999.5);
  // Whatever makes it look again.
  await engine.publish();
  await settled();
  assertEquals(engine.requests.length, 1);
  engine.clock.advance(1.5);
  await settled();
  assertEquals(engine.requests.length, 2);
});

Deno.test("scheduler: a test goes out, though an event was claimed as its subscription was disabled", async () => {
  await using engine = await anEngine({ status: 200 });
  const published = engine.publish();
  const { config } = engine;
  const reloaded = engine.reloadWith({
    ...config,
    subscriptions: config.subscriptions.map((one) => ({ ...one, enabled: false })),
  });
  await Promise.all([published, reloaded]);
  await settled();
  await engine.operations.test("a-subscription", { by: "ann" });
  await settled();
  assertEquals(engine.requests.length, 1);
  assertEquals(await engine.outbox.pending(), new Map([["a-subscription", 1]]));
});

Deno.test("scheduler: of a backlog a bounded part waits in memory, the rest in the outbox", async () => {
  await using engine = await anEngine({ concurrency: 16 });
  for (let i = 0; i < 600; i++) await engine.publish();
  await settled();
  // Not claimed is what nobody has in memory.
  const { claims } = await engine.outbox.claim({
    subscription: "a-subscription",
    now: engine.clock.wall(),
    limit: 1_000,
  });
  assertEquals(claims.length, 600 - 16 - 256);
});

Deno.test("scheduler: one event for many subscriptions is read from the outbox in slices of 5 ms", async () => {
  const ids = Array.from({ length: 40 }, (_, i) => `sub-${i}`);
  await using engine = await anEngine();
  const { outbox, clock, config } = engine;
  await engine.reloadWith({ ...config, subscriptions: ids.map((id) => aSubscription({ id })) });
  const enqueue = outbox.enqueue.bind(outbox), claim = outbox.claim.bind(outbox);
  // As where there is no room in memory: all of them wait on the disk.
  outbox.enqueue = ({ events, ...request }) =>
    enqueue({
      ...request,
      events: events.map(({ deliveries, ...event }) => ({
        ...event,
        deliveries: deliveries.map((delivery) => ({ ...delivery, claim: false })),
      })),
    });
  let reads = 0;
  outbox.claim = (request) => {
    reads++;
    clock.advance(1);
    return claim(request);
  };
  await engine.publish();
  await settled();
  // The time counts from the end of the first one.
  assertEquals(reads, 6);
  for (let slice = 1; slice <= 7; slice++) {
    clock.advance(6);
    await settled();
    assertEquals(reads, Math.min(6 + 5 * slice, ids.length));
  }
  assertEquals(engine.requests.map(({ pool }) => pool), ids);
});

Deno.test("scheduler: what is cancelled in memory makes room for what waits in the outbox", async () => {
  await using engine = await anEngine();
  const config = {
    ...engine.config,
    totalConcurrency: 1,
    subscriptions: [...engine.config.subscriptions, aSubscription({ id: "other" })],
  };
  await engine.reloadWith(config);
  for (let i = 0; i < 300; i++) await engine.publish();
  await settled();
  // The one slot is taken by the first subscription's first, so all of the other's wait.
  const { items } = await engine.outbox.deliveries({ subscription: "other", limit: 500 });
  for (const { id } of items.toReversed().slice(0, 256)) await engine.operations.cancel(id, "ann");
  for (let turn = 0; turn < 10; turn++) {
    engine.unanswered.at(-1)!.answer(200);
    await settled();
  }
  assert(engine.requests.some(({ pool }) => pool === "other"));
});

Deno.test("scheduler: what this machine lacks costs no attempt, is put off longer and longer, and told once a minute", async () => {
  const told: string[] = [];
  const log = Object.assign(Object.create(silentLog), {
    attemptsHeldBack: (_: string, lack: string) => told.push(lack),
  });
  const sent: string[] = [];
  let lacks = true;
  await using engine = await anEngine({}, {
    log,
    transport: {
      send({ pool }) {
        sent.push(pool);
        if (lacks) return Promise.reject(new MachineFault("descriptors", "there are none"));
        return Promise.resolve({
          kind: "answered",
          status: 200,
          headers: [],
          body: new Uint8Array(),
          truncated: false,
        });
      },
      close: () => Promise.resolve(),
    },
  });
  await engine.publish();
  await settled();
  const waits: number[] = [];
  for (let i = 0; i < 5; i++) {
    const before = sent.length;
    let waitedMs = 0;
    while (sent.length === before) {
      engine.clock.advance(50);
      waitedMs += 50;
      await settled();
    }
    waits.push(waitedMs);
  }
  assertEquals(waits, [250, 500, 1_000, 2_000, 4_000]);
  assertEquals(told, ["there are none"]);
  lacks = false;
  engine.clock.advance(30_000);
  await settled();
  const { items: [delivery] } = await engine.outbox.deliveries({ limit: 1 });
  assertEquals([delivery!.state, delivery!.attemptCount], ["delivered", 1]);
});
