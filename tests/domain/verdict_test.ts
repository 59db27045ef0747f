import { assertEquals } from "@std/assert";
import { type Outcome, parseStatusRanges } from "../../src/domain/attempt.ts";
import { HOUSE_LADDER } from "../../src/domain/ladder.ts";
import { decide, type DeliveryRules, type Standing } from "../../src/domain/verdict.ts";
import { fc } from "../support/properties.ts";

const AT = Date.UTC(2024, 2, 15, 10, 30);
const DAY_MS = 86_400_000;

const rules: DeliveryRules = {
  success: [[200, 299]],
  ladder: HOUSE_LADDER,
  jitter: 0,
  waitForConfirmation: true,
};
const first: Standing = { attempt: 1, firstAt: AT, chance: 0.5 };

function answered(status: number, headers: Record<string, string> = {}): Outcome {
  const body = new Uint8Array();
  return { kind: "answered", status, headers: Object.entries(headers), body, truncated: false };
}

const refused: Outcome = { kind: "failed", error: { kind: "connect", message: "refused" } };

Deno.test("decide(): a status of the success set delivers, any other climbs the ladder", () => {
  for (const [status, kind] of [[200, "delivered"], [299, "delivered"], [199, "retry"]] as const) {
    assertEquals(decide(rules, first, answered(status), AT).kind, kind);
  }
  for (const status of [301, 302, 304, 307, 308, 400, 401, 404, 429, 500, 503]) {
    const verdict = decide(rules, first, answered(status), AT);
    assertEquals(verdict, { kind: "retry", dueAt: AT + 60_000 });
  }
  assertEquals(decide(rules, first, refused, AT), { kind: "retry", dueAt: AT + 60_000 });
});

Deno.test("decide(): Booking Experts' success is exactly 200", () => {
  const exactly200 = { ...rules, success: parseStatusRanges("200")! };
  assertEquals(decide(exactly200, first, answered(200), AT).kind, "delivered");
  assertEquals(decide(exactly200, first, answered(201), AT).kind, "retry");
});

Deno.test("decide(): the sixth failure of the house ladder exhausts the delivery", () => {
  const fifth = decide(rules, { ...first, attempt: 5 }, answered(500), AT);
  assertEquals(fifth, { kind: "retry", dueAt: AT + DAY_MS });
  const sixth = decide(rules, { ...first, attempt: 6 }, answered(500), AT);
  assertEquals(sixth, {
    kind: "exhausted",
    reason: "attempt 6, the last, failed: the receiver answered 500",
  });
});

Deno.test("decide(): 410 ends the delivery at once, on every rung", () => {
  for (const attempt of [1, 3, 6]) {
    const verdict = decide(rules, { ...first, attempt }, answered(410), AT);
    assertEquals(verdict, { kind: "cancelled", reason: "the receiver answered 410 Gone" });
  }
});

Deno.test("decide(): Retry-After on 429 and 503 only ever postpones, by 24 h at the most", () => {
  const dueAt = (status: number, value: string) => {
    const verdict = decide(rules, first, answered(status, { "retry-after": value }), AT);
    return verdict.kind === "retry" ? verdict.dueAt - AT : verdict.kind;
  };
  assertEquals(dueAt(429, "120"), 120_000);
  assertEquals(dueAt(503, "120"), 120_000);
  assertEquals(dueAt(500, "120"), 60_000);
  assertEquals(dueAt(429, "5"), 60_000);
  assertEquals(dueAt(429, "9999999999"), DAY_MS);
  assertEquals(dueAt(503, new Date(AT + 600_000).toUTCString()), 600_000);
  assertEquals(dueAt(503, new Date(AT - 600_000).toUTCString()), 60_000);
  for (
    const nonsense of ["-5", "soon", "", "1e3", "12 parsecs", "2050-01-01T00:00:00Z", "1 Jan 50"]
  ) {
    assertEquals(dueAt(503, nonsense), 60_000, nonsense);
  }
});

Deno.test("decide(): Retry-After takes the three forms of an HTTP date", () => {
  const at = Date.UTC(2026, 10, 21, 8, 49, 37);
  const dueAt = (value: string) => {
    const verdict = decide(
      rules,
      { ...first, firstAt: at },
      answered(503, { "Retry-After": value }),
      at,
    );
    return verdict.kind === "retry" ? verdict.dueAt - at : verdict.kind;
  };
  assertEquals(dueAt("Sat, 21 Nov 2026 08:59:37 GMT"), 600_000);
  assertEquals(dueAt("Saturday, 21-Nov-26 08:59:37 GMT"), 600_000);
  assertEquals(dueAt("Sat Nov 21 08:59:37 2026"), 600_000);
  // Two digits of a year: never more than fifty years ahead.
  assertEquals(dueAt("Sunday, 06-Nov-50 08:49:37 GMT"), DAY_MS);
  assertEquals(dueAt("Sunday, 06-Nov-94 08:49:37 GMT"), 60_000);
});

Deno.test("decide(): Retry-After cannot lengthen a ladder that is at its end", () => {
  const last = decide(rules, { ...first, attempt: 6 }, answered(503, { "Retry-After": "9" }), AT);
  assertEquals(last.kind, "exhausted");
});

Deno.test("decide(): without confirmation one answer is enough, whatever it says", () => {
  const relaxed = { ...rules, waitForConfirmation: false };
  for (const status of [302, 410, 500]) {
    assertEquals(decide(relaxed, first, answered(status), AT).kind, "delivered");
  }
  assertEquals(decide(relaxed, first, refused, AT).kind, "exhausted");
});

Deno.test("decide(): a ladder that goes on every day stops at its thirtieth", () => {
  const forAMonth = {
    ...rules,
    ladder: { ...HOUSE_LADDER, thenEveryMs: DAY_MS, forMs: 30 * DAY_MS },
  };
  let at = AT;
  let attempt = 1;
  for (;; attempt++) {
    const verdict = decide(forAMonth, { ...first, attempt }, answered(201 + 200), at);
    if (verdict.kind !== "retry") break;
    at = verdict.dueAt;
  }
  assertEquals(attempt, 34);
  assertEquals(at - AT, 95_760_000 + 28 * DAY_MS);
});

Deno.test("decide(): a retry is never before its rung, whatever the receiver answers", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 300, max: 599 }).filter((status) => status !== 410),
      fc.oneof(fc.string(), fc.nat().map(String)),
      fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
      (attempt, status, retryAfter, chance) => {
        const outcome = answered(status, { "Retry-After": retryAfter });
        const verdict = decide(
          { ...rules, jitter: 0.1 },
          { attempt, firstAt: AT, chance },
          outcome,
          AT,
        );
        const rungMs = HOUSE_LADDER.waitsMs[attempt - 1]!;
        const waitMs = verdict.kind === "retry" ? verdict.dueAt - AT : NaN;
        assertEquals(waitMs >= rungMs && waitMs <= Math.max(rungMs * 1.1, DAY_MS), true);
      },
    ),
    { numRuns: 500 },
  );
});
