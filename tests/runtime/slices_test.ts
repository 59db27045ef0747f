import { assertEquals } from "@std/assert";
import { Slices } from "../../src/runtime/slices.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Work of so many milliseconds in steps of one, on a clock that moves as it works. */
async function work(slices: Slices, clock: FakeClock, ms: number, log: (at: number) => void) {
  const slice = slices.begin();
  for (let done = 0; done < ms; done++) {
    log(clock.monotonicMs());
    clock.advance(1);
    if (slice.isOver) await slice.rest();
  }
}

async function settle(clock: FakeClock, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    for (let turn = 0; turn < 10; turn++) await Promise.resolve();
    clock.advance(1);
  }
}

Deno.test("Slices: long work rests for as long as it worked", async () => {
  const clock = new FakeClock();
  const steps: number[] = [];
  let isOver = false;
  void work(new Slices(clock), clock, 12, (at) => steps.push(at)).then(() => isOver = true);
  await settle(clock, () => isOver);
  const rests = steps.slice(1).map((at, i) => at - steps[i]! - 1);
  assertEquals(rests.filter((ms) => ms > 0).length, 2);
  for (const [i, ms] of rests.entries()) if ((i + 1) % 5 === 0) assertEquals(ms >= 5, true);
});

Deno.test("Slices: works that share them hold the loop for half of the time together", async () => {
  const clock = new FakeClock();
  const slices = new Slices(clock);
  const steps: number[] = [];
  let over = 0;
  for (let i = 0; i < 4; i++) {
    void work(slices, clock, 40, (at) => steps.push(at)).then(() => over++);
  }
  await settle(clock, () => over === 4);
  // The first slices begin at once; from then on they take turns.
  const tookMs = clock.monotonicMs() - 20;
  assertEquals(steps.length, 160);
  assertEquals(tookMs >= 2 * (160 - 20) - 10, true, `${tookMs} ms`);
});

Deno.test("Slices: short work never waits, whatever else goes on", async () => {
  const clock = new FakeClock();
  const slices = new Slices(clock);
  void work(slices, clock, 100, () => {});
  const steps: number[] = [];
  const before = clock.monotonicMs();
  await work(slices, clock, 4, (at) => steps.push(at));
  assertEquals(steps.map((at) => at - before), [0, 1, 2, 3]);
});
