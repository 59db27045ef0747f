import { assertEquals, assertThrows } from "@std/assert";
import { expectedBytes, Intake } from "../../src/http/intake.ts";
import { ProblemError } from "../../src/http/problem.ts";

Deno.test("intake: a length that is no number does not end the bound for everybody", () => {
  const headers = new Headers([["content-length", "5"], ["content-length", "5"]]);
  assertEquals(headers.get("content-length"), "5, 5");
  const intake = new Intake();
  intake.enter(undefined, expectedBytes(headers)).leave();
  const half = 8 * 1024 * 1024;
  intake.enter(undefined, half);
  intake.enter(undefined, half);
  assertThrows(() => intake.enter(undefined, 1), ProblemError, "too many requests are under way");
});
