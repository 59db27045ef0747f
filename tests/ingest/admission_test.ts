import { assert, assertEquals } from "@std/assert";
import { Admission } from "../../src/ingest/admission.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { settled } from "../dispatch/an_engine.ts";

/** One on a clock of the test's, and what it asks of the scheduler. */
function anAdmission({ lagMs = 0 } = {}) {
  const clock = new FakeClock();
  const state = { isBehind: true, lagMs };
  const admission = new Admission({
    clock,
    isBehind: () => state.isBehind,
    lagMs: () => state.lagMs,
  });
  const admitted: (number | "refused")[] = [];
  return {
    admission,
    clock,
    state,
    admitted,
    async ask(number: number) {
      const waiting = admission.enter().then((isIn) => admitted.push(isIn ? number : "refused"));
      await settled();
      return waiting;
    },
    /** So much time passes, in which a timer comes late each time, or never. */
    async pass(ms: number, { isLoopBusy = true } = {}) {
      const step = isLoopBusy ? 5 : 1;
      for (let passed = 0; passed < ms; passed += step) {
        clock.advance(step);
        await settled();
      }
    },
  };
}

Deno.test("admission: large requests are let in two at a time, in their order", async () => {
  const { admission, ask, admitted } = anAdmission();
  for (const number of [1, 2, 3, 4]) void ask(number);
  await settled();
  assertEquals(admitted, [1, 2]);
  admission.leave();
  await settled();
  assertEquals(admitted, [1, 2, 3]);
});

Deno.test("admission: what taking in has cost is followed by a longer rest while deliveries wait", async () => {
  const { admission, ask, admitted, pass } = anAdmission();
  admission.spent(40);
  void ask(1);
  await pass(55);
  assertEquals(admitted, []);
  await pass(10);
  assertEquals(admitted, [1]);
});

Deno.test("admission: the longer deliveries have waited, the longer the rest, but never without end", async () => {
  const { admission, ask, admitted, pass } = anAdmission({ lagMs: 20_000 });
  admission.spent(40);
  void ask(1);
  await pass(210);
  assertEquals(admitted, []);
  await pass(20);
  assertEquals(admitted, [1]);
  admission.spent(10_000);
  void ask(2);
  await pass(600);
  assertEquals(admitted, [1, 2]);
});

Deno.test("admission: a loop with nothing to do ends a rest", async () => {
  const { admission, ask, admitted, pass } = anAdmission();
  admission.spent(400);
  void ask(1);
  await pass(20, { isLoopBusy: false });
  assertEquals(admitted, [1]);
});

Deno.test("admission: where nothing waits to be sent there is no rest", async () => {
  const { admission, ask, admitted, state } = anAdmission();
  state.isBehind = false;
  admission.spent(10_000);
  await ask(1);
  assertEquals(admitted, [1]);
});

Deno.test("admission: who would wait for too long is refused, and those in line are not", async () => {
  const { ask, admitted, pass, admission } = anAdmission();
  for (const number of [1, 2, 3]) void ask(number);
  await pass(2_100);
  await ask(4);
  assertEquals(admitted, [1, 2, "refused"]);
  admission.leave();
  await settled();
  assertEquals(admitted, [1, 2, "refused", 3]);
});

Deno.test("admission: a busy loop that is half a minute behind takes in nothing, an idle one goes on", async () => {
  const { admission, pass, state } = anAdmission({ lagMs: 31_000 });
  assert(!admission.isOverloaded, "it was not looked at yet");
  await pass(1_000);
  assert(admission.isOverloaded);
  await pass(1_000, { isLoopBusy: false });
  assert(!admission.isOverloaded, "receivers are slow, the loop is not");
  await pass(1_000);
  assert(admission.isOverloaded);
  state.lagMs = 0;
  assert(!admission.isOverloaded);
});

Deno.test("admission: when the daemon stops, nobody waits in line any more", async () => {
  const { admission, ask, admitted } = anAdmission();
  admission.spent(1_000);
  for (const number of [1, 2, 3]) void ask(number);
  await settled();
  admission.stop();
  await settled();
  assertEquals(admitted, [1, 2, 3]);
});
