import { assertEquals } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { answered, aTransport } from "./a_transport.ts";
import { aConformingDaemon } from "./conforming.ts";

const EVENT = { id: "e1", type: "t", data: {} };
const AT = "2024-03-15T10:30:00Z";
const REFUSED = { kind: "connect", message: "connection refused by 127.0.0.1:9" } as const;
const BROKEN = {
  kind: "reset",
  message: "the receiver closed the connection amid the response body",
} as const;

const HEAD = { status: 200, headers: [], body: new Uint8Array(), truncated: true };

const ENDS: Readonly<Record<string, Outcome>> = {
  answers: answered(204),
  breaks: {
    kind: "failed",
    error: BROKEN,
    response: HEAD,
  },
  fails: answered(503),
  refuses: { kind: "failed", error: REFUSED },
};

async function aHouse() {
  const clock = new FakeClock();
  const subscriptions = Object.keys(ENDS).map((id) =>
    aSubscription({ id, url: `https://${id}.example/` })
  );
  const disabled = aSubscription({ id: "untried", enabled: false });
  const transport = aTransport(({ url }) => ENDS[new URL(url).hostname.split(".")[0]!]!);
  const config = aConfig({ subscriptions: [...subscriptions, disabled] });
  const daemon = await aConformingDaemon(config, { clock, transport });
  await daemon.call("POST", "/v1/events", EVENT);
  await until(async () => {
    const { body } = await daemon.call("GET", "/v1/deliveries");
    return body.items.every((one: { attemptCount: number; subscription: string }) =>
      one.attemptCount === 1 || one.subscription === "untried"
    );
  });
  return daemon;
}

// deno-lint-ignore no-explicit-any
function lastResults(items: any[]): Record<string, unknown> {
  return Object.fromEntries(
    items.map(({ subscription, lastResult }) => [subscription, lastResult]),
  );
}

const LAST_RESULTS = {
  answers: { at: AT, status: 204 },
  breaks: { at: AT, status: 200, error: BROKEN },
  fails: { at: AT, status: 503 },
  refuses: { at: AT, error: REFUSED },
  untried: undefined,
};

Deno.test("lastResult: every row of a delivery says what its last attempt came to", async () => {
  await using daemon = await aHouse();
  const { body: list } = await daemon.call("GET", "/v1/deliveries");
  assertEquals(lastResults(list.items), LAST_RESULTS);
  const { body: event } = await daemon.call("GET", "/v1/events/e1");
  assertEquals(lastResults(event.deliveries), LAST_RESULTS);
  for (const { id, subscription } of list.items) {
    const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
    assertEquals(lastResults([body]), {
      [subscription]: LAST_RESULTS[subscription as keyof typeof LAST_RESULTS],
    });
  }
});

Deno.test("health: says whether the receiver answers, since when not, and what came last", async () => {
  await using daemon = await aHouse();
  const { body } = await daemon.call("GET", "/v1/subscriptions");
  const told = body.items.map((
    { id, health: { state, answering, failuresSince, lastResult } }: {
      id: string;
      // deno-lint-ignore no-explicit-any
      health: any;
    },
  ) => [id, state, answering, failuresSince, lastResult]);
  assertEquals(told, [
    ["answers", "healthy", true, undefined, LAST_RESULTS.answers],
    ["breaks", "healthy", false, AT, LAST_RESULTS.breaks],
    ["fails", "healthy", false, AT, LAST_RESULTS.fails],
    ["refuses", "healthy", false, AT, LAST_RESULTS.refuses],
    ["untried", "disabled", true, undefined, undefined],
  ]);
});
