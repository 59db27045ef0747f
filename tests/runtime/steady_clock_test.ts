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
