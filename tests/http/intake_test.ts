import { assertEquals, assertThrows } from "@std/assert";
import { expectedBytes, Intake } from "../../src/http/intake.ts";
import { ProblemError } from "../../src/http/problem.ts";

Deno.test("intake: an invalid Content-Length doesn't break the limits for others", () => {
  const headers = new Headers([["content-length", "5"], ["content-length", "5"]]);
  assertEquals(headers.get("content-length"), "5, 5");
  const intake = new Intake();
  intake.reserve(undefined, expectedBytes(headers)).release();
  const half = 8 * 1024 * 1024;
  intake.reserve(undefined, half);
  intake.reserve(undefined, half);
  assertThrows(() => intake.reserve(undefined, 1), ProblemError, "too many requests are under way");
});
