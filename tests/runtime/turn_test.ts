import { assertEquals } from "@std/assert";
import { Turn } from "../../src/runtime/turn.ts";
import { settled } from "../dispatch/an_engine.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** Work of so many steps, each of which takes a millisecond; tells of each step it has done. */
function* steps(clock: FakeClock, count: number, done: number[], name: number) {
  for (let step = 0; step < count; step++) {
    clock.advance(1);
    done.push(name);
    yield;
  }
}

async function work(clock: FakeClock, count: number, done: number[], name = 0): Promise<Turn> {
  const turn = new Turn(clock);
  await turn.run(steps(clock, count, done, name));
  return turn;
}

Deno.test("turn: long work stops every five milliseconds, and goes on after as long a rest", async () => {
  const clock = new FakeClock();
  const done: number[] = [];
  const working = work(clock, 12, done);
  await settled();
  // Its time counts from the first look at the clock, after the first step.
  assertEquals(done.length, 6);
  clock.advance(4);
  await settled();
  assertEquals(done.length, 6);
  clock.advance(1);
  await settled();
  assertEquals(done.length, 11);
  clock.advance(5);
  assertEquals((await working).workedMs, 11);
});

Deno.test("turn: work of a single step never looks at the clock", async () => {
  const clock = new FakeClock();
  clock.monotonicMs = () => {
    throw new Error("it was asked for the time");
  };
  assertEquals(await new Turn(clock).run(steps(clock, 0, [], 0)), undefined);
});

Deno.test("turn: of several works one goes on after a rest, and the next after another", async () => {
  const clock = new FakeClock();
  const done: number[] = [];
  // Each at its second step, so that all of them rest when time begins to pass.
  const slow = function* (name: number) {
    clock.advance(name === 1 ? 5 : 0);
    yield;
    for (let step = 0; step < 3; step++) {
      done.push(name);
      yield;
    }
  };
  const turns = [1, 2, 3].map(() => new Turn(clock));
  for (const turn of turns) assertEquals(turn.isOver, false);
  const all = turns.map((turn, i) => turn.run(slow(i + 1)));
  const told: number[][] = [];
  for (let ms = 0; ms < 25; ms += 5) {
    clock.advance(5);
    await settled();
    told.push(done.splice(0));
  }
  assertEquals(told, [[1, 1, 1], [], [2, 2, 2], [], [3, 3, 3]]);
  await Promise.all(all);
});

Deno.test("turn: short work is done at once", async () => {
  const clock = new FakeClock();
  const done: number[] = [];
  const working = work(clock, 4, done);
  assertEquals(done.length, 4);
  assertEquals((await working).workedMs, 3);
});
