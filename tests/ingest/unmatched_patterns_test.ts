import { assertEquals } from "@std/assert";
import { compilePattern } from "../../src/domain/pattern.ts";
import {
  PatternWatch,
  unmatchedPatterns,
  unmatchedText,
} from "../../src/ingest/unmatched_patterns.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { Turn } from "../../src/runtime/turn.ts";
import { accepted, aDelivery, anEvent, aNewEvent, NOON } from "../outbox/building.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";

const DAY_MS = 86_400_000;

/** The unmatched patterns after these events; each pattern has its own subscription. */
async function found(
  patterns: readonly string[],
  events: readonly { type: string; daysAgo: number; cause?: "event" | "test" | "notice" }[],
  { keepDays = 30, enabled = true, isListed = false } = {},
) {
  const outbox = await openSqliteOutbox(":memory:");
  try {
    for (const { type, daysAgo, cause = "event" } of events) {
      const deliveries = [aDelivery({ cause })];
      const event = aNewEvent({ event: anEvent({ type }), deliveries });
      accepted(await outbox.enqueue({ events: [event], at: NOON - daysAgo * DAY_MS }));
      // Counting a replay brings the lists up to date.
      if (isListed) await outbox.countReplay({ since: 0, until: 1 });
    }
    const config = aConfig({
      storage: {
        path: ":memory:",
        keepDeliveredMs: keepDays * DAY_MS,
        keepExhaustedMs: 90 * DAY_MS,
      },
      subscriptions: patterns.map((text, index) =>
        aSubscription({ id: `s${index}`, enabled, events: [compilePattern(text)] })
      ),
    });
    const turn = new Turn(new FakeClock());
    return await unmatchedPatterns({ reader: outbox, config, now: NOON, turn });
  } finally {
    await outbox.close();
  }
}

for (const isListed of [false, true]) {
  const how = isListed ? "listed" : "not listed yet";
  Deno.test(`unmatched patterns: reports those that match no event of 30 days, with events ${how}`, async () => {
    const events = [
      { type: "booking.created", daysAgo: 40 },
      { type: "payment.failed", daysAgo: 31 },
      { type: "booking.created", daysAgo: 2 },
    ];
    const patterns = ["booking.*", "*", "payment.failed", "boking.created", "guest.*"];
    const unmatched = await found(patterns, events, { isListed });
    assertEquals(unmatched.map(({ pattern, near }) => [pattern, near]), [
      ["payment.failed", undefined],
      ["boking.created", "booking.created"],
      ["guest.*", undefined],
    ]);
  });
}

Deno.test("unmatched patterns: reports none while the database is young or empty", async () => {
  assertEquals(await found(["guest.*"], [{ type: "a", daysAgo: 29 }], { isListed: true }), []);
  assertEquals(await found(["guest.*"], []), []);
});

Deno.test("unmatched patterns: checks a week if events are kept for a week", async () => {
  const events = [{ type: "a", daysAgo: 8 }, { type: "b", daysAgo: 1 }];
  const [one, ...others] = await found(["a", "b"], events, { keepDays: 7, isListed: true });
  assertEquals([one?.pattern, one?.days, others], ["a", 7, []]);
});

Deno.test("unmatched patterns: ignores test events, notices and disabled subscriptions", async () => {
  const events = [
    { type: "a", daysAgo: 31 },
    { type: "guest.created", daysAgo: 1, cause: "test" },
    { type: "subscription.failing", daysAgo: 1, cause: "notice" },
  ] as const;
  for (const isListed of [true, false]) {
    const all = await found(["guest.*", "*"], events, { isListed });
    assertEquals(all.map(({ pattern }) => pattern), ["guest.*", "*"]);
  }
  assertEquals(await found(["guest.*"], events, { isListed: true, enabled: false }), []);
});

Deno.test("unmatched patterns: a pattern of many subscriptions is reported once, naming a few of them", () => {
  const subscriptions = ["a", "b", "c"];
  assertEquals(
    unmatchedText({ pattern: "x.*", subscriptions, count: 50_000, days: 30, near: "y" }),
    {
      message: 'the pattern "x.*" of "a", "b", "c" and 49997 more matched no event in 30 days',
      fix: 'did you mean "y"?',
    },
  );
});

Deno.test("unmatched patterns: 50 000 subscriptions are checked again after ten minutes or a reload", async () => {
  let asked = 0;
  const reader = {
    seenTypes() {
      asked++;
      return Promise.resolve({ types: new Set(["a"]), recordedSince: 0 });
    },
  };
  const events = [compilePattern("a"), compilePattern("b.*")];
  const one = aSubscription({ events });
  const subscriptions = Array.from({ length: 50_000 }, (_, index) => ({ ...one, id: `s${index}` }));
  const watch = new PatternWatch();
  const look = async (now: number, config = aConfig({ subscriptions })) => {
    const turn = new Turn(new FakeClock());
    return (await watch.patterns({ reader, config, now, turn })).map(({ count }) => count);
  };
  assertEquals(await look(NOON), [50_000]);
  await look(NOON + 9 * 60_000);
  assertEquals(asked, 1);
  await look(NOON + 11 * 60_000);
  assertEquals(await look(NOON + 11 * 60_000, aConfig({ subscriptions: [one] })), [1]);
  assertEquals(asked, 3);
});
