import { assert, assertEquals } from "@std/assert";
import { crashGround } from "./crash_ground.ts";

Deno.test("crash: killed at random moments, like its receiver, it repeats only attempts in flight", async () => {
  const rounds = 4;
  const report = await crashGround({ rounds, seed: 1 });
  assertEquals(report.faults, []);
  assertEquals([report.lost, report.sound], [0, rounds + 1]);
  assert(report.accepted > 0);
  assert(report.duplicates <= report.inFlight + report.receiversKilled * 16);
});
