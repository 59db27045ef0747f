import { assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { systemClock } from "../../src/runtime/clock.ts";

Deno.test("systemClock: when the process has stood still, what arrived is seen before what was due", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  using here = await Deno.connect({ port: listener.addr.port });
  using there = await accepted;
  const seen: string[] = [];
  const read = here.read(new Uint8Array(8)).then(() => seen.push("what arrived"));
  const due = new Promise<void>((resolve) => {
    systemClock.after(300, () => {
      seen.push("what was due");
      resolve();
    });
  });
  // By then the timer has been set.
  await new Promise((resolve) => setImmediate(resolve));
  const written = there.write(new Uint8Array(1));
  const standsStillUntilMs = performance.now() + 900;
  while (performance.now() < standsStillUntilMs);
  await Promise.all([written, read, due]);
  assertEquals(seen, ["what arrived", "what was due"]);
});

Deno.test("systemClock: a timer that was taken back does not come, also while it catches up", async () => {
  let came = false;
  const takeBack = systemClock.after(0, () => came = true);
  const standsStillUntilMs = performance.now() + 600;
  while (performance.now() < standsStillUntilMs);
  await new Promise<void>((resolve) => setTimeout(resolve, 0));
  takeBack();
  await new Promise<void>((resolve) => setTimeout(resolve, 250));
  assertEquals(came, false);
});
