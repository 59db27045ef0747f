import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Config } from "../../src/config/config.ts";
import type { DaemonPorts } from "../../src/daemon.ts";
import type { Outcome } from "../../src/domain/attempt.ts";
import { MachineFault } from "../../src/transport/transport.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { answered, aTransport } from "./a_transport.ts";
import { Visitor } from "../dashboard/visitor.ts";
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

Deno.test("lastResult: lists show the result of each delivery's last attempt", async () => {
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

Deno.test("health: shows whether the receiver answers, since when it doesn't, and the last result", async () => {
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

Deno.test("state=failed: finds exhausted deliveries and those cancelled by a 410, in lists and replays", async () => {
  const ladder = { waitsMs: [] };
  const subscriptions = ["exhausted", "gone", "off", "well"].map((id) =>
    aSubscription({ id, url: `https://${id}.example/`, ladder, enabled: id !== "off" })
  );
  const transport = aTransport(({ url }) =>
    answered(url.includes("gone") ? 410 : url.includes("well") ? 200 : 500)
  );
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { transport });
  const { body: posted } = await daemon.call("POST", "/v1/events", EVENT);
  for (const { id, subscription } of posted.deliveries) {
    if (subscription === "off") await daemon.call("POST", `/v1/deliveries/${id}/cancel`);
    await until(async () =>
      (await daemon.call("GET", `/v1/deliveries/${id}`)).body.state !== "pending"
    );
  }
  const failed = async (more = "") =>
    (await daemon.call("GET", `/v1/deliveries?state=failed${more}`)).body.items.map(
      ({ subscription }: { subscription: string }) => subscription,
    ).sort();
  assertEquals(await failed(), ["exhausted", "gone"]);
  assertEquals(await failed("&limit=1"), ["gone"]);
  assertEquals(await failed("&subscription=gone"), ["gone"]);
  assertEquals(await failed("&subscription=off"), []);
  assertEquals(await failed("&event=e1"), ["exhausted", "gone"]);
  assertEquals(await failed("&status=410"), ["gone"]);
  assertEquals(await failed("&type=other"), []);
  const which = { state: "failed", since: "2000-01-01T00:00:00Z", dryRun: true };
  assertEquals((await daemon.call("POST", "/v1/replays", which)).body, { count: 2 });

  const page = await new Visitor(daemon.url).open("/");
  assertMatch(page.text, /2 deliveries failed for good in the last day/);
  const link = page.links.find((one) => one.includes("state=failed"))!;
  const { text } = await new Visitor(daemon.url).open(link);
  assertMatch(text, /exhausted.*500 Internal Server Error/);
  assertMatch(text, /gone.*410 Gone/);
  assert(!text.includes("off – cancelled"));
  const since = "failedSince=2000-01-01T00%3A00";
  const counted = await new Visitor(daemon.url).open(`/dashboard/subscriptions/gone?${since}`);
  assertMatch(counted.text, /Send 1 delivery again/);
});

/** A daemon with one receiver that the test controls. */
async function oneReceiver(
  config: Config,
  outcome: () => Outcome,
  ports: Partial<DaemonPorts> = {},
) {
  const transport = aTransport(outcome);
  const daemon = await aConformingDaemon(config, { transport, ...ports });
  const health = async () => (await daemon.call("GET", "/v1/subscriptions/s")).body.health;
  return {
    daemon,
    health,
    failures: (count: number) =>
      until(async () => (await health()).consecutiveFailures === count, `${count} failures`),
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

Deno.test("answering: survives a restart", async () => {
  const folder = await Deno.makeTempDir();
  const { storage } = aConfig();
  const config = aConfig({
    storage: { ...storage, path: `${folder}/bellhook.db` },
    subscriptions: [aSubscription({ id: "s" })],
  });
  let outcome: Outcome = ENDS.refuses!;
  const clock = new FakeClock();
  const before = await oneReceiver(config, () => outcome, { clock });
  await before.daemon.call("POST", "/v1/events", EVENT);
  await before.failures(1);
  const told = await before.health();
  assertEquals([told.answering, told.failuresSince], [false, AT]);
  await before[Symbol.asyncDispose]();

  clock.advance(1_000);
  await using after = await oneReceiver(config, () => outcome, { clock });
  assertEquals(await after.health(), told);
  outcome = answered(200);
  await after.daemon.call("POST", "/v1/subscriptions/s/test", {});
  await until(async () => (await after.health()).answering);
  assertEquals((await after.health()).lastResult.status, 200);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("answering: a test counts even while paused, and a 410 counts like any failure", async () => {
  const config = aConfig({ subscriptions: [aSubscription({ id: "s" })] });
  await using house = await oneReceiver(config, () => answered(410));
  const { daemon, health } = house;
  await daemon.call("POST", "/v1/events", EVENT);
  await house.failures(1);
  const gone = await health();
  assertEquals([gone.state, gone.answering, gone.lastResult.status], ["paused", false, 410]);
  await daemon.call("POST", "/v1/subscriptions/s/test", {});
  await house.failures(2);
  await daemon.call("POST", "/v1/subscriptions/s/resume");
  const resumed = await health();
  assertEquals([resumed.state, resumed.answering], ["healthy", false]);
});

Deno.test("answering: failures of this machine don't count", async () => {
  const clock = new FakeClock();
  const config = aConfig({ subscriptions: [aSubscription({ id: "s" })] });
  let tries = 0;
  const transport = {
    send: () => Promise.reject((tries++, new MachineFault("descriptors", "none is left"))),
    close: () => Promise.resolve(),
  };
  await using house = await oneReceiver(config, () => answered(200), { clock, transport });
  await house.daemon.call("POST", "/v1/events", EVENT);
  await until(() => {
    clock.advance(1_000);
    return tries > 3;
  });
  const { answering, consecutiveFailures, lastResult } = await house.health();
  assertEquals([answering, consecutiveFailures, lastResult], [true, 0, undefined]);
});

Deno.test("answering: stays false after a changed URL, until a success", async () => {
  const subscription = (url: string) => aSubscription({ id: "s", url });
  const config = aConfig({ subscriptions: [subscription("https://typo.example/")] });
  const corrected = { ...config, subscriptions: [subscription("https://right.example/")] };
  let outcome: Outcome = ENDS.refuses!;
  await using house = await oneReceiver(config, () => outcome, {
    reload: () => Promise.resolve({ ok: true, config: corrected, warnings: [] }),
  });
  await house.daemon.call("POST", "/v1/events", EVENT);
  await house.failures(1);
  outcome = answered(200);
  await house.daemon.call("POST", "/-/reload");
  assertEquals((await house.health()).answering, false);
  await house.daemon.call("POST", "/v1/subscriptions/s/test", {});
  await until(async () => (await house.health()).answering);
});
