import { assertEquals } from "@std/assert";
import { SharedTimer } from "../../src/runtime/shared_timer.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fc } from "../support/properties.ts";

const WAIT_MS = 100;

Deno.test("shared timer: each wait ends when a timer of its own would, unless it is taken back", () => {
  const steps = fc.array(
    fc.record({
      afterMs: fc.integer({ min: 0, max: 60 }),
      takesBackAfterMs: fc.option(fc.integer({ min: 0, max: 2 * WAIT_MS })),
      /** Whose end begins another. */
      goesOn: fc.boolean(),
    }),
    { maxLength: 12 },
  );
  fc.assert(fc.property(steps, (waits) => {
    const shared = told((clock) => {
      const timer = new SharedTimer(clock, WAIT_MS);
      return (callback) => timer.after(callback);
    });
    const own = told((clock) => (callback) => clock.after(WAIT_MS, callback));
    assertEquals(shared, own);

    function told(timerOf: (clock: FakeClock) => (callback: () => void) => () => void): string[] {
      const clock = new FakeClock(), ended: string[] = [];
      const after = timerOf(clock);
      const tell = (what: string) => ended.push(`${what} at ${clock.monotonicMs()}`);
      let startAtMs = 0;
      for (const [i, { afterMs, takesBackAfterMs, goesOn }] of waits.entries()) {
        startAtMs += afterMs;
        clock.after(startAtMs, () => {
          const takeBack = after(() => {
            tell(`wait ${i}`);
            if (goesOn) after(() => tell(`what followed wait ${i}`));
          });
          if (takesBackAfterMs !== null) clock.after(takesBackAfterMs, takeBack);
        });
      }
      clock.advance(10_000);
      return ended.sort();
    }
  }));
});

Deno.test("shared timer: leaves no timer running when every wait is taken back", () => {
  let running = 0;
  const clock = {
    wall: () => 0,
    monotonicMs: () => 0,
    after() {
      running++;
      return () => void running--;
    },
  };
  const timer = new SharedTimer(clock, WAIT_MS);
  const cancels = [timer.after(() => {}), timer.after(() => {})];
  assertEquals(running, 1);
  for (const cancel of cancels) cancel();
  assertEquals(running, 0);
});

Deno.test("shared timer: ends every wait at once, but for those that begin by it", () => {
  const clock = new FakeClock(), ended: string[] = [];
  const timer = new SharedTimer(clock, WAIT_MS);
  timer.after(() => {
    ended.push("first");
    timer.after(() => ended.push("begun by the first"));
  });
  const takeBack = timer.after(() => ended.push("taken back"));
  timer.after(() => ended.push("last"));
  takeBack();
  timer.endAll();
  assertEquals(ended, ["first", "last"]);
  clock.advance(WAIT_MS);
  assertEquals(ended, ["first", "last", "begun by the first"]);
});
