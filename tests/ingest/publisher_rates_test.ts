import { assert, assertEquals } from "@std/assert";
import type { Publisher } from "../../src/config/config.ts";
import { Secret } from "../../src/domain/secret.ts";
import { PublisherRates } from "../../src/ingest/publisher_rates.ts";
import { cpuMs } from "../support/cpu_time.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fc } from "../support/properties.ts";

function aPublisher(rate: { count: number; perMs: number }, name = "pms"): Publisher {
  return { name, token: new Secret("a-token-of-the-pms"), rate };
}

function kinds(rates: PublisherRates, publisher: Publisher, ...requests: number[]) {
  return requests.map((events) => rates.take(publisher, events)?.kind);
}

Deno.test("publisher's rate: no window has more events than the count, however they are grouped", () => {
  fc.assert(
    fc.property(
      fc.record({
        count: fc.integer({ min: 1, max: 30 }),
        perMs: fc.constantFrom(1_000, 60_000, 3_600_000),
      }),
      fc.array(
        fc.record({
          share: fc.integer({ min: 0, max: 400 }),
          events: fc.integer({ min: 1, max: 30 }),
        }),
        {
          maxLength: 100,
        },
      ),
      (rate, requests) => {
        const clock = new FakeClock();
        const rates = new PublisherRates(clock);
        const taken: number[] = [];
        for (const { share, events } of requests) {
          clock.advance(share / 1_000 * rate.perMs);
          if (events > rate.count) continue;
          const pace = rates.take(aPublisher(rate), events)!;
          if (pace.kind === "taken") {
            taken.push(...Array.from({ length: events }, () => clock.monotonicMs()));
          } else {
            clock.advance(pace.waitMs);
            assertEquals(kinds(rates, aPublisher(rate), events), ["taken"], "after its wait");
            taken.push(...Array.from({ length: events }, () => clock.monotonicMs()));
          }
        }
        for (const [index, atMs] of taken.entries()) {
          const before = taken[index - rate.count];
          assert(before === undefined || atMs - before >= rate.perMs - 1e-6);
        }
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("publisher's rate: a request larger than the count is accepted alone, and counted in full", () => {
  const clock = new FakeClock();
  const rates = new PublisherRates(clock);
  const publisher = aPublisher({ count: 200, perMs: 1_000 });
  assertEquals(kinds(rates, publisher, 1, 1_000), ["taken", "tooFast"]);
  clock.advance(1_001);
  assertEquals(kinds(rates, publisher, 1_000, 1), ["taken", "tooFast"]);
  clock.advance(4_998);
  assertEquals(kinds(rates, publisher, 1, 1_000), ["tooFast", "tooFast"]);
  clock.advance(2);
  assertEquals(kinds(rates, publisher, 200, 1), ["taken", "tooFast"]);
});

Deno.test("publisher's rate: a changed rate applies at once, an unchanged one keeps its count", () => {
  const rates = new PublisherRates(new FakeClock());
  const slow = { count: 1, perMs: 3_600_000 };
  assertEquals(kinds(rates, aPublisher(slow), 1, 1), ["taken", "tooFast"]);
  assertEquals(kinds(rates, aPublisher({ ...slow }), 1), ["tooFast"]);
  assertEquals(kinds(rates, aPublisher({ count: 2, perMs: 1_000 }), 1, 1, 1), [
    "taken",
    "taken",
    "tooFast",
  ]);
});

Deno.test("publisher's rate: events that were not stored don't count", () => {
  const rates = new PublisherRates(new FakeClock());
  const publisher = aPublisher({ count: 2, perMs: 1_000 });
  const pace = rates.take(publisher, 2);
  if (pace?.kind !== "taken") throw new Error(pace?.kind);
  pace.giveBack();
  assertEquals(kinds(rates, publisher, 2, 1), ["taken", "tooFast"]);
});

Deno.test("publisher's rate: memory is bounded, however many requests there are", () => {
  const clock = new FakeClock();
  const rates = new PublisherRates(clock);
  const publisher = aPublisher({ count: 9_999_999, perMs: 86_400_000 });
  const startedMs = cpuMs();
  for (let i = 0; i < 200_000; i++) {
    clock.advance(400);
    assertEquals(rates.take(publisher, 1)?.kind, "taken");
  }
  assert(cpuMs() - startedMs < 5_000, "taking takes the longer the more there were");
});
