import { assertEquals } from "@std/assert";
import { anEngine, settled } from "../dispatch/an_engine.ts";

Deno.test("engine: once its database has failed it stops at once, whatever is under way", async () => {
  const engine = await anEngine();
  await engine.publish();
  await engine.publish();
  await settled();
  engine.disk.isBroken = true;
  engine.unanswered[0]!.answer(200);
  await engine.failed;
  let hasStopped = false;
  const stopped = engine.stop().then(() => hasStopped = true);
  await settled();
  assertEquals(hasStopped, true);
  await stopped;
});
