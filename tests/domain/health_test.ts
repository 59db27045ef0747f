import { assertEquals } from "@std/assert";
import { type Health, healthAfter, healthState, UNTRIED } from "../../src/domain/health.ts";
import type { Verdict } from "../../src/domain/verdict.ts";

const retry: Verdict = { kind: "retry", dueAt: 5 };
const exhausted: Verdict = { kind: "exhausted", reason: "500" };
const gone: Verdict = { kind: "cancelled", reason: "410" };

function fail(health: Health, verdict: Verdict, at = 9) {
  return healthAfter(health, verdict, { succeeded: false, at });
}

function succeed(health: Health, at = 9) {
  return healthAfter(health, { kind: "delivered" }, { succeeded: true, at });
}

Deno.test("health: a failed attempt counts, only an exhausted delivery makes it failing", () => {
  const { health, change } = fail(fail(UNTRIED, retry).health, retry);
  assertEquals([health.consecutiveFailures, change], [2, undefined]);
  assertEquals(healthState(health, true), "healthy");
  const after = fail(health, exhausted, 77);
  assertEquals([after.change, after.health.failingSince], ["failing", 77]);
  assertEquals(healthState(after.health, true), "failing");
});

Deno.test("health: an answer that nothing follows from changes nothing", () => {
  const { health } = fail(UNTRIED, retry);
  assertEquals(fail(health, { kind: "delivered" }), { health });
});

Deno.test("health: the change to failing is told once, and so is the recovery", () => {
  const failing = fail(UNTRIED, exhausted, 1).health;
  assertEquals(fail(failing, exhausted, 2).change, undefined);
  assertEquals(fail(failing, exhausted, 2).health.failingSince, 1);
  const recovered = succeed(failing, 3);
  assertEquals(recovered.change, "recovered");
  assertEquals(recovered.health, { consecutiveFailures: 0, lastSuccessAt: 3, changedAt: 3 });
  assertEquals(succeed(recovered.health, 4).change, undefined);
});

Deno.test("health: what a test comes to while it is paused does not change since when it is", () => {
  const paused: Health = { ...UNTRIED, pausedAt: 2, pausedReason: "by ann", changedAt: 2 };
  assertEquals(fail(paused, exhausted, 5).health.changedAt, 2);
  const failing = { ...paused, failingSince: 1 };
  assertEquals(succeed(failing, 5).health, {
    ...paused,
    lastSuccessAt: 5,
    consecutiveFailures: 0,
  });
});

Deno.test("health: 410 pauses once; disabled stands above paused, paused above failing", () => {
  const paused = fail(fail(UNTRIED, exhausted, 1).health, gone, 2);
  assertEquals([paused.change, paused.health.pausedAt], ["paused", 2]);
  assertEquals(fail(paused.health, gone, 3).change, undefined);
  assertEquals(healthState(paused.health, true), "paused");
  assertEquals(healthState(paused.health, false), "disabled");
});
