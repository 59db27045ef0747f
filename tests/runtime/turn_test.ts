import { assert, assertEquals } from "@std/assert";
import { Turn } from "../../src/runtime/turn.ts";
import { settled } from "../dispatch/an_engine.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Work of so many steps, each of which takes a millisecond; tells of each step it has done. */
async function work(clock: FakeClock, steps: number, done: number[], name = 0): Promise<Turn> {
  const turn = new Turn(clock);
  for (let step = 0; step < steps; step++) {
    clock.advance(1);
    done.push(name);
    await turn.look();
  }
  return turn;
}

Deno.test("turn: long work stops every five milliseconds, and goes on after as long a rest", async () => {
  const clock = new FakeClock();
  const done: number[] = [];
  const working = work(clock, 12, done);
  await settled();
  assertEquals(done.length, 5);
  clock.advance(4);
  await settled();
  assertEquals(done.length, 5);
  clock.advance(1);
  await settled();
  assertEquals(done.length, 10);
  clock.advance(5);
  assertEquals((await working).workedMs, 12);
});

Deno.test("turn: of several works only one goes on after a rest, in their order", async () => {
  const clock = new FakeClock();
  const done: number[] = [];
  const all = [1, 2, 3].map((name) => work(clock, 10, done, name));
  await settled();
  done.length = 0;
  for (const name of [1, 2, 3]) {
    // What one takes of the time is no rest for the others.
    const before = done.length;
    clock.advance(5);
    await settled();
    assertEquals(done.slice(before), Array(5).fill(name));
  }
  for (let rest = 0; rest < 6; rest++) {
    clock.advance(10);
    await settled();
  }
  await Promise.all(all);
});

Deno.test("turn: short work is not interrupted, nor is the clock asked after every small step", () => {
  const clock = new FakeClock();
  let looks = 0;
  const turn = new Turn({ ...clockOf(clock), monotonicMs: () => looks++ });
  for (let step = 0; step < 128; step++) assert(turn.step() === undefined);
  assertEquals(looks, 3);
});

function clockOf(clock: FakeClock) {
  return {
    wall: () => clock.wall(),
    after: (ms: number, callback: () => void) => clock.after(ms, callback),
  };
}
