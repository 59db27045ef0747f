import { assertEquals } from "@std/assert";
import { watchLoop } from "../../src/runtime/loop_delay.ts";

Deno.test("loop delay: tells how late each timer came, until it is ended", () => {
  let nowMs = 0;
  let timer: { at: number; fire: () => void } | undefined;
  const clock = {
    wall: () => nowMs,
    monotonicMs: () => nowMs,
    after(ms: number, fire: () => void) {
      timer = { at: nowMs + ms, fire };
      return () => timer = undefined;
    },
  };
  const delays: number[] = [];
  const end = watchLoop(clock, (delayMs) => delays.push(delayMs));
  for (const lateMs of [0, 120, 3]) {
    nowMs = timer!.at + lateMs;
    timer!.fire();
  }
  end();
  assertEquals([delays, timer], [[0, 120, 3], undefined]);
});
