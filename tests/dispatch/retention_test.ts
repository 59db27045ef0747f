import { assert, assertEquals } from "@std/assert";
import { Retention } from "../../src/dispatch/retention.ts";
import type { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { SteadyClock } from "../../src/runtime/steady_clock.ts";
import { accepted, aDelivery, aNewEvent, delivered, exhausted } from "../outbox/building.ts";
import { parseExposition } from "../support/exposition.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { anEngine, settled } from "./an_engine.ts";

const HOUR_MS = 3_600_000;
/** What an fsync takes on a slow disk: two turns of an old hard disk, or a busy network drive. */
const FSYNC_MS = 30;

Deno.test("retention: with an fsync of 30 ms it keeps up with 300 deliveries a second", async () => {
  await using house = await aHouse();
  await house.finish({ delivered: 3_000, exhausted: 0 });
  // The first round begins a minute after the start.
  await house.pass(60_000 + 10_000);
  assertEquals(await house.left(), { delivered: 0, exhausted: 0 });
});

Deno.test("retention: what is exhausted is pruned while delivered rows fill every batch", async () => {
  await using house = await aHouse();
  await house.finish({ delivered: 3_000, exhausted: 40 });
  await house.pass(60_000 + 2 * FSYNC_MS);
  const left = await house.left();
  assert(left.delivered > 0, "there was no backlog");
  assertEquals(left.exhausted, 0);
});

Deno.test("retention: it rests nine times as long as it held the loop, and not for the disk", async () => {
  await using house = await aHouse();
  await house.finish({ delivered: 900, exhausted: 0 });
  const startsMs: number[] = [];
  const { prune } = house.outbox;
  house.outbox.prune = (request) => {
    startsMs.push(house.clock.monotonicMs());
    return prune.call(house.outbox, request);
  };
  // By a clock that goes on while rows are deleted, each look at it takes a millisecond.
  house.clock.tickMs = 1;
  await house.pass(60_000 + 400);
  const apart = startsMs.slice(1).map((at, i) => at - startsMs[i]!);
  assert(apart.length >= 5, `${apart.length + 1} batches`);
  for (const ms of apart) assert(ms >= 40 && ms < 60, `${ms} ms from one batch to the next`);
});

Deno.test("retention: a metric tells for how long the oldest row has been overdue, by kind", async () => {
  await using engine = await anEngine({ status: 200 });
  await engine.publish();
  await settled();
  const name = "bellhook_oldest_overdue_row_age_seconds";
  const ages = async () => {
    const headers = { host: "127.0.0.1:8420" };
    const response = await engine.app.fetch(
      new Request("http://127.0.0.1:8420/metrics", { headers }),
    );
    const { samples } = parseExposition(await response.text()).get(name)!;
    return samples.filter(({ value }) => value > 0).map((
      { labels, value },
    ) => [labels.kind, value]);
  };
  await engine.outbox.shiftDue(0, 0); // what is in no index yet is not looked at
  assertEquals(await ages(), []);
  engine.clock.advance(30 * 24 * HOUR_MS + 5_000);
  assertEquals(await ages(), [["delivered", 5]]);
});

const DAY_MS = 24 * HOUR_MS, YEAR_MS = 365 * DAY_MS;

Deno.test("retention: a clock that is set a year ahead, and back, has nothing pruned early", async () => {
  await using engine = await anEngine({ status: 200 });
  const delivered = async () =>
    (await engine.outbox.counts(["a-subscription"])).get("a-subscription")?.delivered ?? 0;
  const pass = async (days: number) => {
    // In a round every minute there is one batch or more.
    for (let minute = 0; minute < 3; minute++) {
      engine.clock.advance(60_000);
      await settled();
    }
    engine.clock.advance(days * DAY_MS);
    await settled();
  };
  await engine.publish();
  await settled();
  for (const stepMs of [YEAR_MS, -YEAR_MS, YEAR_MS]) {
    engine.clock.step(stepMs);
    await pass(1);
    assertEquals(await delivered(), 1, `after ${stepMs} ms`);
  }
  // The first has three days behind it. What comes now is dated a year later, and kept no longer.
  await engine.publish();
  await settled();
  await pass(26);
  assertEquals(await delivered(), 2);
  await pass(2);
  await pass(0);
  assertEquals(await delivered(), 1);
  await pass(2);
  await pass(0);
  assertEquals(await delivered(), 0);
});

/** An outbox on a slow disk, under a retention of an hour, on a clock that the test has in its hands. */
async function aHouse() {
  const clock = new TickingClock();
  const steady = new SteadyClock(clock);
  const outbox = await openSqliteOutbox(":memory:");
  let isSlow = false;
  outbox.timeCommits(async (commit) => {
    const answer = await commit();
    if (isSlow) await new Promise<void>((resolve) => clock.after(FSYNC_MS, resolve));
    return answer;
  });
  const keep = () => ({ deliveredMs: HOUR_MS, exhaustedMs: HOUR_MS });
  const retention = new Retention({ outbox, clock, steady, log: silentLog, keep });
  retention.start();
  return {
    clock,
    outbox,
    /** So many finished deliveries that are overdue since a while. */
    async finish({ delivered: good, exhausted: bad }: { delivered: number; exhausted: number }) {
      const at = steady.now() - 2 * HOUR_MS;
      await finish(outbox, { count: bad, at, how: exhausted });
      await finish(outbox, { count: good, at: at - HOUR_MS, how: delivered });
    },
    async pass(ms: number) {
      isSlow = true;
      for (let passed = 0; passed < ms; passed += 5) {
        clock.advance(5);
        if (clock.isAwaited) await settled();
      }
    },
    async left() {
      const counts = (await outbox.counts(["crm"])).get("crm");
      return { delivered: counts?.delivered ?? 0, exhausted: counts?.exhausted ?? 0 };
    },
    async [Symbol.asyncDispose]() {
      retention.stop();
      isSlow = false;
      clock.advance(FSYNC_MS);
      await outbox.close();
    },
  };
}

async function finish(
  outbox: SqliteOutbox,
  { count, at, how }: { count: number; at: number; how: typeof delivered },
) {
  const events = Array.from(
    { length: count },
    () => aNewEvent({ deliveries: [aDelivery({ claim: true })] }),
  );
  const { claims } = accepted(await outbox.enqueue({ events, at }));
  await Promise.all(claims.map((claim) => outbox.record(how(claim, at))));
}

/** Each look at it may take a while. */
class TickingClock extends FakeClock {
  tickMs = 0;
  #ticked = 0;
  #fired = 0;
  #seen = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + (this.#ticked += this.tickMs);
  }

  override after(ms: number, callback: () => void): () => void {
    return super.after(ms, () => {
      this.#fired++;
      callback();
    });
  }

  /** Whether a timer fired since this was asked last: something may be under way. */
  get isAwaited(): boolean {
    const has = this.#fired > this.#seen;
    this.#seen = this.#fired;
    return has;
  }
}
