import { assert, assertEquals } from "@std/assert";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, stopAtOnce, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type Replies, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

/** When the retries of the default schedule are due, in seconds after the first attempt. */
const RUNGS_S = [60, 360, 2_160, 9_360, 95_760];

function withReceiver(url: string) {
  const receiver = { id: "guest-app", url, allowHttp: true, allowNetworks: ["127.0.0.0/8"] };
  return aConfig({ subscriptions: [aSubscription(receiver)] });
}

async function post(daemon: TestDaemon): Promise<string> {
  const event = '{"type":"booking.created","data":{"id":9007199254740993,"total":1.10}}';
  const { status, body } = await daemon.call("POST", "/v1/events", event);
  assertEquals(status, 202);
  return body.deliveries[0].id;
}

/** Waits until this many attempts of a delivery are recorded; returns the delivery. */
function attempted(daemon: TestDaemon, id: string, count: number) {
  return until(async () => {
    const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
    return body.attemptCount === count && body;
  }, `${count} attempts of ${id}`);
}

Deno.test("story: a receiver that never recovers sees six attempts over 95 760 s, none early", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer({ status: 500 });
  await using daemon = await aDaemon(withReceiver(receiver.url), { clock });
  const startedAt = clock.wall();
  const id = await post(daemon);
  await attempted(daemon, id, 1);

  for (const [index, rungS] of RUNGS_S.entries()) {
    clock.advance(startedAt + rungS * 1_000 - 1 - clock.wall());
    await daemon.call("GET", "/-/healthy");
    assertEquals(receiver.requests.length, index + 1, `early, before +${rungS} s`);
    clock.advance(1);
    await attempted(daemon, id, index + 2);
  }

  const { body: delivery } = await daemon.call("GET", `/v1/deliveries/${id}`);
  assertEquals(delivery.state, "exhausted");
  assertEquals(delivery.reason, "attempt 6, the last, failed: the receiver answered 500");
  assertEquals(
    // deno-lint-ignore no-explicit-any
    delivery.attempts.map((one: any) => (Date.parse(one.startedAt) - startedAt) / 1_000),
    [0, ...RUNGS_S],
  );
  const bodies = new Set(receiver.requests.map((request) => request.text()));
  assertEquals(bodies.size, 1);
  assert([...bodies][0]!.endsWith(`"data":{"id":9007199254740993,"total":1.10}}`));
  assertEquals(new Set(receiver.requests.map((one) => one.header("webhook-id"))).size, 1);
  const stamps = receiver.requests.map((one) => Number(one.header("webhook-timestamp")));
  assertEquals(stamps.map((stamp) => stamp - stamps[0]!), [0, ...RUNGS_S]);

  const { body: subscription } = await daemon.call("GET", "/v1/subscriptions/guest-app");
  assertEquals(subscription.health.state, "failing");
  clock.advance(30 * 86_400_000);
  await daemon.call("GET", "/-/healthy");
  assertEquals(receiver.requests.length, 6);
});

Deno.test("story: the retry schedule continues after restarts between and during attempts", async () => {
  const clock = new FakeClock();
  const folder = await Deno.makeTempDir();
  let replies: Replies = { status: 503 };
  await using receiver = startRawServer((request, index) =>
    typeof replies === "function" ? replies(request, index) : (replies as { status: number })
  );
  const config = withReceiver(receiver.url);
  const onDisk = {
    ...config,
    server: { ...config.server, shutdownGraceMs: 0 },
    storage: { ...config.storage, path: `${folder}/outbox.db` },
  };
  let daemon = await aDaemon(onDisk, { clock });
  try {
    const id = await post(daemon);
    await attempted(daemon, id, 1);
    await daemon.stop();

    clock.advance(59_000);
    daemon = await aDaemon(onDisk, { clock });
    await daemon.call("GET", "/-/healthy");
    assertEquals(receiver.requests.length, 1, "early, after a restart");
    clock.advance(1_000);
    await attempted(daemon, id, 2);

    // The daemon is killed during the third attempt. Its result is unknown, so it is repeated.
    replies = () => ({ hang: true });
    clock.advance(300_000);
    await receiver.received(3);
    await stopAtOnce(daemon, clock);
    replies = { status: 200 };
    daemon = await aDaemon(onDisk, { clock });
    const delivery = await attempted(daemon, id, 3);

    assertEquals(delivery.state, "delivered");
    assertEquals(receiver.requests.length, 4);
    assertEquals(new Set(receiver.requests.map((request) => request.text())).size, 1);
  } finally {
    await stopAtOnce(daemon, clock);
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("story: after a long downtime an overdue delivery gets one attempt, then its next delay", async () => {
  const clock = new FakeClock();
  const folder = await Deno.makeTempDir();
  await using receiver = startRawServer({ status: 500 });
  const config = withReceiver(receiver.url);
  const onDisk = { ...config, storage: { ...config.storage, path: `${folder}/outbox.db` } };
  let daemon = await aDaemon(onDisk, { clock });
  const id = await post(daemon);
  await attempted(daemon, id, 1);
  await daemon.stop();
  clock.advance(7 * 86_400_000);

  daemon = await aDaemon(onDisk, { clock });
  const delivery = await attempted(daemon, id, 2);
  assertEquals(Date.parse(delivery.nextAttemptAt) - clock.wall(), 300_000);
  clock.advance(299_999);
  await daemon.call("GET", "/-/healthy");
  assertEquals(receiver.requests.length, 2);
  await daemon.stop();
  await Deno.remove(folder, { recursive: true });
});
