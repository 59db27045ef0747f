import { assertEquals } from "@std/assert";
import type { FailureKind, LastResult } from "../../src/domain/attempt.ts";
import { decide } from "../../src/domain/verdict.ts";
import { resultWords, rowReason } from "../../src/domain/result_words.ts";

const NOW = Date.UTC(2024, 2, 15, 10, 30);

function failed(kind: FailureKind, message: string, status?: number): LastResult {
  return { at: NOW, error: { kind, message }, ...(status === undefined ? {} : { status }) };
}

Deno.test("resultWords(): a row's worth of what an attempt came to", () => {
  const table: [LastResult, string][] = [
    [{ at: NOW, status: 200 }, "200 OK"],
    [{ at: NOW, status: 503 }, "503 Service Unavailable"],
    [{ at: NOW, status: 410 }, "410 Gone"],
    [{ at: NOW, status: 599 }, "599"],
    [failed("connect", "connection refused by 127.0.0.1:9"), "connection refused"],
    [
      failed("connect", "connection refused by [::1]:9; connection refused by 127.0.0.1:9"),
      "connection refused",
    ],
    [
      failed("connect", "no route to [::1]:9; connection refused by 127.0.0.1:9"),
      "no route; connection refused",
    ],
    [failed("connect", "no answer from 203.0.113.7:443"), "no answer"],
    [
      failed("timeout", "the deadline of 15s passed while connecting to 203.0.113.7:443"),
      "no connection within 15s",
    ],
    [
      failed("timeout", "the deadline of 15s passed while setting up TLS with 203.0.113.7:443"),
      "no TLS within 15s",
    ],
    [
      failed("timeout", "the deadline of 500ms passed while waiting for the response"),
      "no answer within 500ms",
    ],
    [
      failed("timeout", "the deadline of 5s passed while reading the response body", 200),
      "200, then no answer within 5s",
    ],
    [
      failed("reset", "the receiver closed the connection without an answer"),
      "connection closed without an answer",
    ],
    [failed("dns", "no such host pms.example"), "no such host pms.example"],
    [failed("tls", "certificate expired on 2024-03-13"), "certificate expired 2 days ago"],
    [failed("tls", "certificate expired on 2024-03-14"), "certificate expired 1 day ago"],
    [failed("tls", "certificate expired on 2024-03-15"), "certificate expired today"],
    [failed("tls", "certificate expired on 2024-03-16"), "certificate expired on 2024-03-16"],
    [failed("tls", "certificate expired on doomsday"), "certificate expired on doomsday"],
    [
      failed(
        "blocked",
        "a.example resolves to 10.0.0.1, which is no public address: nothing was sent; " +
          "allowNetworks can let it through",
      ),
      "a.example resolves to 10.0.0.1, which is no public address",
    ],
  ];
  for (const [result, words] of table) assertEquals(resultWords(result, NOW), words);
});

Deno.test("rowReason(): the last answer, or what was decided apart from it", () => {
  const lastResult = { at: NOW, status: 503 };
  const words = "503 Service Unavailable";
  const verdict = (status: number, waitForConfirmation = true) => {
    const rules = {
      success: [[200, 299]] as const,
      ladder: { waitsMs: [] },
      jitter: 0,
      waitForConfirmation,
    };
    const answer = { status, headers: [], body: new Uint8Array(), truncated: false };
    const outcome = status === 0
      ? { kind: "failed", error: { kind: "connect", message: "connection refused by [::1]:9" } }
      : { kind: "answered", ...answer };
    const standing = { attempt: 6, firstAt: NOW, chance: 0 };
    const verdict = decide(rules, standing, outcome as Parameters<typeof decide>[2], NOW);
    return { state: verdict.kind, ...verdict } as Parameters<typeof rowReason>[0];
  };
  const refused = { at: NOW, error: { kind: "connect", message: "connection refused by [::1]:9" } };
  const table: [Parameters<typeof rowReason>[0], string | undefined][] = [
    [{ state: "pending" }, undefined],
    [{ state: "pending", lastResult }, words],
    [{ ...verdict(200), lastResult: { status: 200 } }, undefined],
    [{ state: "delivered", reason: "the receiver answered 204", lastResult }, undefined],
    [{ ...verdict(500, false), lastResult: { status: 500 } }, verdict(500, false).reason],
    [{ ...verdict(503), lastResult }, words],
    [{ ...verdict(0, false), lastResult: refused as never }, "connection refused"],
    // Pruned or damaged attempts: what was decided still stands.
    [verdict(503), verdict(503).reason],
    [{ state: "exhausted", reason: "its data is damaged", lastResult }, "its data is damaged"],
    [{ state: "cancelled", reason: "cancelled by ada", lastResult }, "cancelled by ada"],
    [{ ...verdict(410), lastResult: { status: 410 } }, "410 Gone"],
    [verdict(410), "the receiver answered 410 Gone"],
  ];
  for (const [facts, reason] of table) assertEquals(rowReason(facts, NOW), reason);
});
