import { assertEquals } from "@std/assert";
import { MemoryOutbox } from "../../src/outbox/memory/memory_outbox.ts";
import type { WholeOutbox } from "../../src/outbox/reader.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { fc } from "../support/properties.ts";
import { NOON } from "./building.ts";
import { anyStep, outboxContract, takeSteps } from "./outbox_contract.ts";
import { totalsOf } from "./totals.ts";

outboxContract("MemoryOutbox", () => {
  const outbox = new MemoryOutbox();
  return Promise.resolve({ outbox, reader: outbox });
});

Deno.test("MemoryOutbox: after the same steps SQLite holds the same", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 60 }), async (steps) => {
      const one = new MemoryOutbox(), other = await openSqliteOutbox(":memory:");
      try {
        // What is asked at once may share a commit in one of them, and be claimed before it in none.
        const inTurn = steps.map((step) => ({ ...step, waits: true }));
        const { now } = await takeSteps(one, inTurn);
        await takeSteps(other, inTurn);
        assertEquals(await contentOf(one, now), await contentOf(other, now));
      } finally {
        await one.close();
        await other.close();
      }
    }),
    { numRuns: 60 },
  );
});

/** All that can be asked of it, but for the ids of events, which no two have in common. */
async function contentOf(outbox: WholeOutbox, now: number) {
  // What SQLite has not rolled up yet is not overdue.
  await outbox.shiftDue(now, 0);
  const { items } = await outbox.deliveries({ limit: 500 });
  const times = { delivered: now, exhausted: now };
  const subscriptions = ["s0", "s1", "s2"];
  const { health: _, ...totals } = await totalsOf(outbox, { subscriptions });
  return {
    deliveries: items.map(({ eventId: _, ...delivery }) => delivery),
    attempts: await Promise.all(items.map(({ id }) => outbox.attempts(id))),
    events: (await outbox.events({ limit: 500 })).items.map(({ acceptedAt }) => acceptedAt),
    audit: await outbox.audit(),
    totals,
    health: sorted(await outbox.health()),
    due: sorted(await outbox.due(now)),
    nextDue: sorted(await outbox.nextDue()),
    overdue: await outbox.overdue(times),
    exhaustedSince: await outbox.exhaustedSince(),
    replays: await outbox.openReplays(),
    toReplay: await outbox.countReplay({ since: NOON, until: now }),
    claims: await Promise.all(
      subscriptions.map(async (subscription) => {
        const { claims, nextDueAt } = await outbox.claim({ subscription, now, limit: 3 });
        return [claims.map(({ delivery }) => delivery), nextDueAt];
      }),
    ),
  };
}

function sorted<Value>(map: ReadonlyMap<string, Value>): [string, Value][] {
  return [...map].sort(([a], [b]) => a < b ? -1 : 1);
}
