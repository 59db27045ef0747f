import { assertEquals } from "@std/assert";
import {
  conditionOf,
  type Health,
  healthAfter,
  healthState,
  isAnswering,
  UNTRIED,
} from "../../src/domain/health.ts";
import type { Verdict } from "../../src/domain/verdict.ts";

const retry: Verdict = { kind: "retry", dueAt: 5 };
const exhausted: Verdict = { kind: "exhausted", reason: "500" };
const gone: Verdict = { kind: "cancelled", reason: "410" };

const ANSWERED = {
  kind: "answered",
  status: 204,
  headers: [],
  body: new Uint8Array(),
  truncated: false,
} as const;
const ERROR = { kind: "connect", message: "connection refused by 127.0.0.1:1" } as const;
const REFUSED = { kind: "failed", error: ERROR } as const;

function fail(health: Health, verdict: Verdict, at = 9) {
  return healthAfter(health, verdict, { succeeded: false, outcome: REFUSED, at });
}

function succeed(health: Health, at = 9) {
  return healthAfter(health, { kind: "delivered" }, { succeeded: true, outcome: ANSWERED, at });
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
  const after = fail(health, { kind: "delivered" }, 10).health;
  assertEquals(after, { ...health, lastResult: { at: 10, error: ERROR } });
});

Deno.test("health: the change to failing is told once, and so is the recovery", () => {
  const failing = fail(UNTRIED, exhausted, 1).health;
  assertEquals(fail(failing, exhausted, 2).change, undefined);
  assertEquals(fail(failing, exhausted, 2).health.failingSince, 1);
  const recovered = succeed(failing, 3);
  assertEquals(recovered.change, "recovered");
  assertEquals(recovered.health, {
    consecutiveFailures: 0,
    lastSuccessAt: 3,
    changedAt: 3,
    lastResult: { at: 3, status: 204 },
  });
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
    lastResult: { at: 5, status: 204 },
  });
});

Deno.test("health: a receiver that never succeeded is not answering from its first failure on", () => {
  assertEquals(isAnswering(UNTRIED), true);
  const { health } = fail(UNTRIED, retry, 7);
  assertEquals([isAnswering(health), conditionOf(health, true)], [false, "not answering"]);
  assertEquals([health.failuresSince, health.lastResult], [7, { at: 7, error: ERROR }]);
  assertEquals(fail(health, retry, 8).health.failuresSince, 7);
  const { health: well } = succeed(fail(health, retry, 8).health, 9);
  assertEquals([isAnswering(well), well.failuresSince], [true, undefined]);
});

Deno.test("health: one that has succeeded is not answering from its third failure in a row on", () => {
  let health = succeed(UNTRIED).health;
  const answering = [1, 2, 3, 4].map((at) => {
    health = fail(health, retry, at).health;
    return isAnswering(health);
  });
  assertEquals(answering, [true, true, false, false]);
  assertEquals(health.failuresSince, 1);
  const { health: again } = succeed(health);
  assertEquals(isAnswering(fail(again, retry).health), true);
});

Deno.test("health: failures without a known beginning get none made up", () => {
  const counted: Health = { consecutiveFailures: 4 };
  assertEquals(fail(counted, retry).health.failuresSince, undefined);
});

Deno.test("health: what an operator or a lost delivery says stands above not answering", () => {
  const silent = fail(UNTRIED, retry).health;
  assertEquals(conditionOf(silent, false), "disabled");
  assertEquals(conditionOf({ ...silent, pausedAt: 1 }, true), "paused");
  assertEquals(conditionOf(fail(silent, exhausted).health, true), "failing");
  assertEquals(conditionOf(succeed(silent).health, true), "healthy");
});

Deno.test("health: 410 pauses once; disabled stands above paused, paused above failing", () => {
  const paused = fail(fail(UNTRIED, exhausted, 1).health, gone, 2);
  assertEquals([paused.change, paused.health.pausedAt], ["paused", 2]);
  assertEquals(fail(paused.health, gone, 3).change, undefined);
  assertEquals(healthState(paused.health, true), "paused");
  assertEquals(healthState(paused.health, false), "disabled");
});
