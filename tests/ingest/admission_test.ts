import { assert, assertEquals } from "@std/assert";
import { Admission } from "../../src/ingest/admission.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { settled } from "../dispatch/an_engine.ts";

/** An admission with a fake clock and a fake scheduler state. */
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
    /** Advances the clock, with every timer late or every timer on time. */
    async pass(ms: number, { isLoopBusy = true } = {}) {
      const step = isLoopBusy ? 5 : 1;
      for (let passed = 0; passed < ms; passed += step) {
        clock.advance(step);
        await settled();
      }
    },
  };
}

Deno.test("admission: large requests are admitted two at a time, in order", async () => {
  const { admission, ask, admitted } = anAdmission();
  for (const number of [1, 2, 3, 4]) void ask(number);
  await settled();
  assertEquals(admitted, [1, 2]);
  admission.leave();
  await settled();
  assertEquals(admitted, [1, 2, 3]);
});

Deno.test("admission: while deliveries wait, the pause is longer than the time spent on a request", async () => {
  const { admission, ask, admitted, pass } = anAdmission();
  admission.spent(40);
  void ask(1);
  await pass(55);
  assertEquals(admitted, []);
  await pass(10);
  assertEquals(admitted, [1]);
});

Deno.test("admission: the later deliveries are, the longer the pause, up to a maximum", async () => {
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

Deno.test("admission: an idle event loop ends a pause", async () => {
  const { admission, ask, admitted, pass } = anAdmission();
  admission.spent(400);
  void ask(1);
  await pass(20, { isLoopBusy: false });
  assertEquals(admitted, [1]);
});

Deno.test("admission: there is no pause if no delivery waits", async () => {
  const { admission, ask, admitted, state } = anAdmission();
  state.isBehind = false;
  admission.spent(10_000);
  await ask(1);
  assertEquals(admitted, [1]);
});

Deno.test("admission: new requests are refused if the queue is too slow, queued ones are not", async () => {
  const { ask, admitted, pass, admission } = anAdmission();
  for (const number of [1, 2, 3]) void ask(number);
  await pass(2_100);
  await ask(4);
  assertEquals(admitted, [1, 2, "refused"]);
  admission.leave();
  await settled();
  assertEquals(admitted, [1, 2, "refused", 3]);
});

Deno.test("admission: with deliveries 30 s late, a busy event loop refuses all, an idle one doesn't", async () => {
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

Deno.test("admission: stop() admits the whole queue", async () => {
  const { admission, ask, admitted } = anAdmission();
  admission.spent(1_000);
  for (const number of [1, 2, 3]) void ask(number);
  await settled();
  admission.stop();
  await settled();
  assertEquals(admitted, [1, 2, 3]);
});
