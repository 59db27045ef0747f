import { assert, assertEquals } from "@std/assert";
import type { Subscription } from "../../src/domain/subscription.ts";
import { fc } from "../support/properties.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { anEngineOnDisk } from "./an_engine.ts";

const HOUR_MS = 3_600_000;

for (
  const { what, stepMs } of [
    { what: "an hour forwards", stepMs: HOUR_MS },
    { what: "half a second forwards", stepMs: 500 },
    { what: "a day back", stepMs: -24 * HOUR_MS },
  ]
) {
  Deno.test(`restart: a wall clock set ${what} meanwhile makes no retry early, and holds none`, async () => {
    await using house = await aHouse({ ladder: { waitsMs: [10 * 60_000] } });
    await house.start();
    await house.publish();
    assertEquals(house.requests.length, 1);
    await house.kill();
    house.clock.step(stepMs);
    house.clock.advance(60_000);
    await house.start();
    await house.pass(9 * 60_000 - 1);
    assertEquals(house.requests.length, 1);
    await house.pass(1);
    assertEquals(house.requests.length, 2);
  });
}

Deno.test("restart: while the machine sleeps the wait goes on", async () => {
  await using house = await aHouse({ ladder: { waitsMs: [10 * 60_000] } });
  await house.start();
  await house.publish();
  await house.kill();
  house.clock.sleep(9 * 60_000);
  await house.start();
  await house.pass(60_000 - 1);
  assertEquals(house.requests.length, 1);
  await house.pass(1);
  assertEquals(house.requests.length, 2);
});

Deno.test("restart: of the machine, with a clock that has lost the time, holds and hastens nothing", async () => {
  await using house = await aHouse({ ladder: { waitsMs: [10 * 60_000] } });
  await house.start();
  await house.publish();
  await house.pass(10_000);
  await house.kill();
  house.clock.bootId = "boot-2";
  house.clock.step(-50 * 365 * 24 * HOUR_MS);
  await house.start();
  // The time server is reached.
  house.clock.step(50 * 365 * 24 * HOUR_MS);
  await house.pass(10 * 60_000 - 10_000 - 1);
  assertEquals(house.requests.length, 1);
  await house.pass(1);
  assertEquals(house.requests.length, 2);
});

Deno.test("restart: of the machine, after a while of which the wall clock alone knows, is a wait", async () => {
  await using house = await aHouse({ ladder: { waitsMs: [10 * 60_000] } });
  await house.start();
  await house.publish();
  await house.kill();
  house.clock.bootId = undefined;
  house.clock.step(10 * 60_000);
  await house.start();
  assertEquals(house.requests.length, 2);
});

Deno.test("restart: a clock that was set before the daemon was killed is not followed twice", async () => {
  await using house = await aHouse({ ladder: { waitsMs: [10 * 60_000] } });
  await house.start();
  await house.publish();
  house.clock.step(HOUR_MS);
  await house.pass(60_000);
  await house.kill();
  await house.start();
  await house.pass(9 * 60_000 - 1);
  assertEquals(house.requests.length, 1);
  await house.pass(1);
  assertEquals(house.requests.length, 2);
});

for (const end of ["kill", "stop"] as const) {
  Deno.test(`rate limit: it holds across a ${end}, by the second`, async () => {
    await using house = await aHouse({ rateLimit: { count: 2, perMs: 1_000 } });
    await house.start();
    await house.publish(5);
    assertEquals(house.requests.length, 2);
    await house[end]();
    await house.start();
    assertEquals(house.requests.length, 2);
    await house.pass(1_000);
    assertEquals(house.requests.length, 4);
  });

  Deno.test(`rate limit: it holds across a ${end}, by the hour, and what is left of it is used`, async () => {
    await using house = await aHouse({ rateLimit: { count: 3, perMs: HOUR_MS } });
    await house.start();
    await house.publish(2);
    await house.pass(10 * 60_000);
    await house[end]();
    await house.start();
    await house.publish(3);
    assertEquals(house.requests.length, 3);
    // It is kept as a second later than now, so that the disk has time.
    await house.pass(50 * 60_000 - 1);
    assertEquals(house.requests.length, 3);
    await house.pass(1_001);
    assertEquals(house.requests.length, 5);
  });
}

Deno.test("rate limit: a clock that is set meanwhile changes nothing about it", async () => {
  await using house = await aHouse({ rateLimit: { count: 1, perMs: HOUR_MS } });
  await house.start();
  await house.publish(2);
  await house.kill();
  house.clock.step(5 * HOUR_MS);
  await house.start();
  await house.pass(HOUR_MS - 1);
  assertEquals(house.requests.length, 1);
  await house.pass(1_001);
  assertEquals(house.requests.length, 2);
});

Deno.test("rate limit: a disk that is slow to keep a start makes no other one early", async () => {
  await using house = await aHouse({ rateLimit: { count: 1, perMs: 60_000 } });
  await house.start();
  house.commitTakesMs = 3_000;
  void house.publish(2);
  await house.passInSteps(20_000, 500);
  assertEquals(house.requests.length, 1);
  house.commitTakesMs = 0;
  const startedMs = house.requestsAtMs[0]!;
  await house.kill();
  await house.start();
  await house.passInSteps(120_000, 500);
  assertEquals(house.requests.length, 2);
  assert(house.requestsAtMs[1]! - startedMs >= 60_000);
});

Deno.test("rate limit: however often the daemon is killed, no window has more than its count", () =>
  fc.assert(
    fc.asyncProperty(
      fc.record({
        count: fc.integer({ min: 1, max: 3 }),
        perMs: fc.constantFrom(1_000, 60_000),
      }),
      fc.array(
        fc.record({
          waitMs: fc.integer({ min: 0, max: 90_000 }),
          kills: fc.boolean(),
          stepMs: fc.constantFrom(0, 0, 400, 7_000, -HOUR_MS),
        }),
        { maxLength: 12 },
      ),
      async (rateLimit, phases) => {
        await using house = await aHouse({ rateLimit });
        await house.start();
        await house.publish(40);
        for (const { waitMs, kills, stepMs } of phases) {
          await house.passInSteps(waitMs, rateLimit.perMs / 4);
          if (kills) await house.kill();
          house.clock.step(stepMs);
          if (kills) await house.start();
        }
        const atMs = house.requestsAtMs;
        for (const [index, ms] of atMs.entries()) {
          const before = atMs[index - rateLimit.count];
          assert(before === undefined || ms - before >= rateLimit.perMs, `${before} and ${ms}`);
        }
      },
    ),
    { numRuns: 15 },
  ));

function aHouse(overrides: Partial<Subscription>) {
  return anEngineOnDisk(new FakeClock(), overrides);
}
