import { assertEquals } from "@std/assert";
import type { Subscription } from "../../src/domain/subscription.ts";
import { type Attempted, Scheduler } from "../../src/dispatch/scheduler.ts";
import { TimeMarks } from "../../src/dispatch/time_marks.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { SteadyClock } from "../../src/runtime/steady_clock.ts";
import { accepted, aDelivery, aNewEvent } from "../outbox/building.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { settled } from "./an_engine.ts";

/** A scheduler alone: attempts end as the test says, each after a second. */
async function aScheduler(how: Partial<Subscription> & { attempted?: Attempted } = {}) {
  const { attempted = { hung: false }, ...overrides } = how;
  const clock = new FakeClock();
  const steady = new SteadyClock(clock);
  const outbox = await openSqliteOutbox(":memory:");
  const state = { isPaused: false };
  const subscription = aSubscription({ id: "crm", concurrency: 16, ...overrides });
  const scheduler = new Scheduler({
    outbox,
    clock,
    steady,
    log: silentLog,
    timeMarks: new TimeMarks({
      outbox,
      clock,
      steady,
      log: silentLog,
      last: undefined,
      boot: undefined,
      commits: () => outbox.commits,
    }),
    subscription: () => subscription,
    isPaused: () => state.isPaused,
    attempt: () => new Promise((resolve) => clock.after(1_000, () => resolve(attempted))),
    totalConcurrency: () => 256,
  });
  await scheduler.start();
  return {
    scheduler,
    state,
    async accept(count: number) {
      const at = steady.now();
      const events = Array.from(
        { length: count },
        () => aNewEvent({ deliveries: [aDelivery({ claim: !state.isPaused })] }),
      );
      const { claims, unclaimed } = accepted(await outbox.enqueue({ events, at }));
      scheduler.accept(claims, unclaimed);
    },
    async pass(seconds: number) {
      for (let second = 0; second < seconds; second++) {
        clock.advance(1_000);
        await settled();
      }
    },
    async [Symbol.asyncDispose]() {
      const stopped = scheduler.stop({ graceMs: 0 });
      await settled();
      clock.advance(1_000);
      await stopped;
      await outbox.close();
    },
  };
}

Deno.test("lag: what waits for the daemon alone is told by how long it has waited", async () => {
  await using queue = await aScheduler();
  await queue.accept(200);
  assertEquals(queue.scheduler.lagMs, 0);
  await queue.pass(5);
  assertEquals([queue.scheduler.isBehind, queue.scheduler.lagMs], [true, 5_000]);
  await queue.pass(10);
  assertEquals([queue.scheduler.isBehind, queue.scheduler.lagMs], [false, 0]);
});

Deno.test("lag: a receiver that is slow or fails keeps its deliveries waiting, not the daemon", async () => {
  await using queue = await aScheduler({ attempted: { hung: false, slow: true } });
  await queue.accept(200);
  await queue.pass(5);
  assertEquals([queue.scheduler.isBehind, queue.scheduler.lagMs], [true, 0]);
});

Deno.test("lag: what a pause has held back counts from its end", async () => {
  await using queue = await aScheduler();
  queue.state.isPaused = true;
  await queue.accept(200);
  await queue.pass(3_600);
  await queue.scheduler.refresh();
  queue.state.isPaused = false;
  await queue.scheduler.refresh();
  await settled();
  await queue.pass(3);
  assertEquals([queue.scheduler.isBehind, queue.scheduler.lagMs], [true, 3_000]);
});
