import { assertEquals } from "@std/assert";
import { SteadyClock } from "../../src/runtime/steady_clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

const HOUR_MS = 3_600_000;

Deno.test("SteadyClock: goes on evenly while the wall clock is stepped, and follows when told", () => {
  const clock = new FakeClock(1_000_000_000);
  const steady = new SteadyClock(clock);
  clock.advance(5_000);
  clock.step(HOUR_MS);
  assertEquals([steady.now(), steady.steppedByMs()], [1_000_005_000, HOUR_MS]);
  clock.step(-3 * HOUR_MS);
  clock.advance(1_000);
  assertEquals([steady.now(), steady.steppedByMs()], [1_000_006_000, -2 * HOUR_MS]);
  steady.follow(-2 * HOUR_MS);
  assertEquals([steady.now(), steady.steppedByMs()], [clock.wall(), 0]);
});

Deno.test("SteadyClock: a slow drift below a second is no step", () => {
  const clock = new FakeClock();
  const steady = new SteadyClock(clock);
  clock.step(999);
  assertEquals(steady.steppedByMs(), 0);
  clock.step(1);
  assertEquals(steady.steppedByMs(), 1_000);
});

Deno.test("SteadyClock: so long ago is dated as it was then, before the clock was set ahead", () => {
  const clock = new FakeClock(1_000_000_000);
  const steady = new SteadyClock(clock);
  const step = (ms: number) => {
    clock.step(ms);
    steady.follow(steady.steppedByMs());
  };
  step(HOUR_MS);
  clock.advance(1_000);
  const now = clock.wall();
  assertEquals([steady.ago(1_000), steady.ago(1_001)], [now - 1_000, now - 1_001 - HOUR_MS]);
  // Set back a part, it is ahead by the rest.
  step(-HOUR_MS / 2);
  assertEquals(steady.ago(2_000), clock.wall() - 2_000 - HOUR_MS / 2);
  step(-HOUR_MS / 2);
  assertEquals(steady.ago(2_000), clock.wall() - 2_000);
  // Set back more, nothing that was dated since is further back than it is.
  step(-HOUR_MS);
  assertEquals(steady.ago(2_000), clock.wall() - 2_000);
});

Deno.test("SteadyClock: a clock that is set ahead for ever takes no more room", () => {
  const clock = new FakeClock();
  const steady = new SteadyClock(clock);
  const startedAt = clock.wall();
  for (let count = 0; count < 10_000; count++) {
    clock.advance(10_000);
    clock.step(5_000);
    steady.follow(steady.steppedByMs());
  }
  assertEquals(steady.ago(10_000 * 10_000), startedAt);
  assertEquals(steady.stepsAhead <= 100, true);
});
