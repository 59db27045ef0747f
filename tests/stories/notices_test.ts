import { assert, assertEquals, assertMatch } from "@std/assert";
import { Webhook } from "standardwebhooks";
import type { Config } from "../../src/config/config.ts";
import { DIGEST_MS } from "../../src/dispatch/digests.ts";
import { channelId } from "../../src/dispatch/channels.ts";
import type { NoticeChannel, NoticeKind } from "../../src/domain/notice.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { Secret } from "../../src/domain/secret.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, stopAtOnce, type TestDaemon } from "../support/a_daemon.ts";
import { A_SECRET, aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { type RawServer, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

const ALL: NoticeKind[] = [
  "subscription.failing",
  "subscription.recovered",
  "subscription.paused",
  "delivery.exhausted",
  "config.rejected",
];

function webhookTo(url: string, on = ALL): NoticeChannel {
  return { kind: "webhook", url, secret: A_SECRET, on, allowNetworks: ["127.0.0.0/8"] };
}

/** A subscription with one retry after a minute, and a channel for notices. */
function aWatchedConfig(receiver: RawServer, operator: RawServer, overrides: Partial<Config> = {}) {
  return aConfig({
    subscriptions: [aSubscription({
      id: "guest-app",
      url: `${receiver.url}?token=hush`,
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
      ladder: { waitsMs: [60_000] },
    })],
    notify: [webhookTo(operator.url)],
    ...overrides,
  });
}

// deno-lint-ignore no-explicit-any
function told(operator: RawServer): any[] {
  return operator.requests.map((request) => {
    const headers = Object.fromEntries(request.headers);
    const signedAt = new Date(Number(headers["webhook-timestamp"]) * 1_000);
    const signature = new Webhook(A_SECRET.reveal().slice(6))
      .sign(headers["webhook-id"]!, signedAt, request.text());
    assertEquals(headers["webhook-signature"], signature);
    return JSON.parse(request.text());
  });
}

/** Posts an event whose attempts all fail, and waits until it is exhausted. */
async function exhaust(daemon: TestDaemon, clock: FakeClock): Promise<string> {
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  const { id } = body.deliveries[0];
  await attempts(daemon, id, 1);
  clock.advance(60_000);
  await attempts(daemon, id, 2);
  return id;
}

function attempts(daemon: TestDaemon, id: string, count: number) {
  return until(async () => {
    const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
    return body.attemptCount === count && body;
  }, `${count} attempts`);
}

/** The real time, because the Standard Webhooks package uses the real clock. */
const now = () => new FakeClock(Date.now());

Deno.test("notices: failing and recovered are sent once each, signed, with a fix", async () => {
  const clock = now();
  let status = 500;
  await using receiver = startRawServer(() => ({ status, body: "no such column" }));
  await using operator = startRawServer();
  await using daemon = await aDaemon(aWatchedConfig(receiver, operator), { clock });
  const id = await exhaust(daemon, clock);
  await operator.received(1);
  await exhaust(daemon, clock);
  status = 200;
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  await attempts(daemon, body.deliveries[0].id, 1);
  await operator.received(2);

  const notices = told(operator);
  assertEquals(notices.map(({ type }) => type).sort(), [
    "subscription.failing",
    "subscription.recovered",
  ]);
  const { data } = notices.find(({ type }) => type === "subscription.failing");
  assertEquals(data.subscription, "guest-app");
  assertEquals(data.delivery, { id, type: "booking.created", attempts: 2 });
  assertEquals([data.lastAnswer.status, data.lastAnswer.body], [500, "no such column"]);
  assertEquals(data.command, "bellhook status guest-app");
  assert(typeof data.since === "string");
  assert(!operator.requests.some((request) => request.text().includes("hush")));
});

Deno.test("notices: the suggested command is quoted for a shell, whatever the id contains", async () => {
  const clock = now();
  const id = "guests; touch /tmp/never $(id)";
  let status = 500;
  await using receiver = startRawServer(() => ({ status }));
  await using operator = startRawServer();
  const { subscriptions, ...config } = aWatchedConfig(receiver, operator);
  const renamed = subscriptions.map((one) => ({ ...one, id }));
  await using daemon = await aDaemon({ ...config, subscriptions: renamed }, { clock });
  await exhaust(daemon, clock);
  status = 200;
  await operator.received(1);
  await attempts(daemon, (await daemon.call("POST", "/v1/events", EVENT)).body.deliveries[0].id, 1);
  await operator.received(2);
  await daemon.call("POST", `/v1/subscriptions/${encodeURIComponent(id)}/pause`);
  await operator.received(3);
  clock.advance(DIGEST_MS);
  await operator.received(4);
  const commands = told(operator).map(({ data }) => data.command);
  assertEquals(commands.sort(), [
    `bellhook deliveries --state exhausted --subscription '${id}'`,
    `bellhook deliveries --subscription '${id}' --state failed`,
    `bellhook resume '${id}'`,
    `bellhook status '${id}'`,
  ]);
});

Deno.test("notices: a 410 and an operator's pause are sent as paused", async () => {
  const clock = now();
  await using receiver = startRawServer({ status: 410 });
  await using operator = startRawServer();
  await using daemon = await aDaemon(aWatchedConfig(receiver, operator), { clock });
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  await attempts(daemon, body.deliveries[0].id, 1);
  await operator.received(1);
  await daemon.call("POST", "/v1/subscriptions/guest-app/resume");
  await daemon.call("POST", "/v1/subscriptions/guest-app/pause");
  await operator.received(2);
  const [gone, paused] = told(operator);
  assertEquals([gone.type, gone.data.command], [
    "subscription.paused",
    "bellhook resume guest-app",
  ]);
  assertEquals([paused.type, paused.data.by], ["subscription.paused", "local"]);
});

Deno.test("notices: a rejected config causes a notice and no change", async () => {
  const clock = now();
  await using receiver = startRawServer();
  await using operator = startRawServer();
  const problem = {
    file: "/etc/bellhook.json",
    line: 3,
    column: 5,
    path: "subscriptions",
    message: "is missing",
  };
  await using daemon = await aDaemon(aWatchedConfig(receiver, operator), {
    clock,
    reload: () => Promise.resolve({ ok: false, problems: [problem], warnings: [] }),
  });
  assertEquals((await daemon.call("POST", "/-/reload?dryRun=true")).status, 422);
  const { status, body } = await daemon.call("POST", "/-/reload");
  assertEquals([status, body.errors[0].path], [422, "subscriptions"]);
  await operator.received(1);
  const [notice] = told(operator);
  assertEquals(notice.type, "config.rejected");
  assert(notice.data.problems[0].includes("is missing"));
  assertEquals((await daemon.call("GET", "/v1/subscriptions")).body.items.length, 1);
});

Deno.test("notices: a channel that answers 410 is retried, and its deliveries can be inspected", async () => {
  const clock = now();
  await using receiver = startRawServer({ status: 410 });
  await using operator = startRawServer([{ status: 410 }, { status: 200 }]);
  await using daemon = await aDaemon(aWatchedConfig(receiver, operator), { clock });
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  await attempts(daemon, body.deliveries[0].id, 1);
  await operator.received(1);
  const path = `/v1/subscriptions/${encodeURIComponent(channelId(webhookTo(operator.url)))}`;
  const health = async () => (await daemon.call("GET", path)).body.health;
  await until(async () => (await health()).consecutiveFailures === 1);
  assertEquals((await health()).state, "healthy");
  clock.advance(70_000);
  await operator.received(2);
  await until(async () => (await health()).consecutiveFailures === 0);
});

Deno.test("notices: two channels with one URL get their own kinds; ids contain no path", async () => {
  const clock = now();
  await using receiver = startRawServer({ status: 500 });
  await using operator = startRawServer();
  const room = `${operator.url}services/T0/hush`;
  const notify = [
    webhookTo(room, ["subscription.failing"]),
    webhookTo(room, ["delivery.exhausted"]),
  ];
  await using daemon = await aDaemon(aWatchedConfig(receiver, operator, { notify }), { clock });
  await exhaust(daemon, clock);
  await operator.received(1);
  clock.advance(DIGEST_MS);
  await operator.received(2);
  const types = told(operator).map(({ type }) => type);
  assertEquals(types.sort(), ["delivery.exhausted", "subscription.failing"]);
  const { body } = await daemon.call("GET", "/v1/deliveries");
  // deno-lint-ignore no-explicit-any
  const ids = body.items.map((item: any) => item.subscription).sort();
  assertEquals(ids.length, 3);
  const { host } = new URL(operator.url);
  const id = new RegExp(`^notify:${host}:[0-9a-f]{8}$`).exec(ids[1])![0];
  assertEquals(ids, ["guest-app", id, `${id}#2`]);
});

Deno.test("notices: exhausted deliveries are sent as one digest every 15 minutes", async () => {
  const clock = now();
  await using receiver = startRawServer({ status: 500, body: "no" });
  await using operator = startRawServer();
  const digests = webhookTo(operator.url, ["delivery.exhausted"]);
  const config = aWatchedConfig(receiver, operator, { notify: [digests] });
  const [first] = config.subscriptions;
  const subscriptions = [
    { ...first!, ladder: { waitsMs: [] } },
    { ...first!, id: "crm", ladder: { waitsMs: [] }, events: [compilePattern("booking.*")] },
  ];
  await using daemon = await aDaemon({ ...config, subscriptions }, { clock });
  const publish = async (...types: string[]) => {
    const { body } = await daemon.call(
      "POST",
      "/v1/events",
      types.map((type) => ({ type, data: 1 })),
    );
    const ids = body.flatMap(({ deliveries }: { deliveries: { id: string }[] }) =>
      deliveries.map(({ id }) => id)
    );
    for (const id of ids) await attempts(daemon, id, 1);
    return ids;
  };
  const [example] = await publish("payment.failed", "booking.created");
  clock.advance(DIGEST_MS - 1);
  await publish("payment.failed");
  assertEquals(operator.requests.length, 0);
  clock.advance(1);
  await operator.received(1);
  await publish("booking.created");
  clock.advance(DIGEST_MS);
  await operator.received(2);
  clock.advance(DIGEST_MS);

  const [{ type, data }, { data: next }] = told(operator);
  assertEquals(type, "delivery.exhausted");
  assertEquals([data.count, data.subscriptions], [4, 2]);
  assertEquals(
    data.examples.map(({ subscription, count }: Record<string, unknown>) => [subscription, count]),
    [["guest-app", 3], ["crm", 1]],
  );
  assertEquals(data.examples[0].delivery, example);
  assertMatch(data.examples[0].reason, /answered 500/);
  assertMatch(data.summary, /^4 deliveries were exhausted for 2 subscriptions since /);
  assertEquals([next.count, next.subscriptions], [2, 2]);
});

Deno.test("notices: Slack works like any channel, with retries, and its URL is never shown", async () => {
  const clock = now();
  await using receiver = startRawServer({ status: 500 });
  await using slack = startRawServer([{ status: 503 }, { status: 200, body: "ok" }]);
  const url = new Secret(`${slack.url}services/T024BE7LH/kh5VxJ8eNkLmPqRs`);
  const notify: NoticeChannel[] = [{
    kind: "slack",
    url,
    on: ["subscription.failing"],
    allowNetworks: ["127.0.0.0/8"],
  }];
  const config = aWatchedConfig(receiver, slack, { notify });
  await using daemon = await aDaemon(config, { clock });
  await exhaust(daemon, clock);
  await slack.received(1);
  const list = async () =>
    (await daemon.call("GET", "/v1/deliveries?type=subscription.failing")).body.items;
  await until(async () => (await list())[0].attemptCount === 1);
  clock.advance(70_000);
  await slack.received(2);
  const [delivery] = await list();
  assertMatch(delivery.subscription, /^notify:slack:127\.0\.0\.1:\d+:[0-9a-f]{8}$/);
  assertEquals(slack.requests.map(({ target }) => target), [
    "/services/T024BE7LH/kh5VxJ8eNkLmPqRs",
    "/services/T024BE7LH/kh5VxJ8eNkLmPqRs",
  ]);
  assertMatch(JSON.parse(slack.requests[0]!.text()).text, /^guest-app is failing: .*\n/);
  const shown = await Promise.all([
    daemon.call("GET", `/v1/deliveries/${delivery.id}`),
    daemon.call("GET", `/v1/subscriptions/${encodeURIComponent(delivery.subscription)}`),
    daemon.call("GET", "/v1/deliveries"),
  ]);
  assert(!JSON.stringify(shown).includes("kh5VxJ8"));
});

Deno.test("notices: a digest survives a restart, and goes to the channels configured then", async () => {
  const clock = now();
  const folder = await Deno.makeTempDir();
  await using receiver = startRawServer({ status: 500 });
  await using operator = startRawServer();
  const before = webhookTo(`${operator.url}before`, ["delivery.exhausted"]);
  const after = webhookTo(`${operator.url}after`, ["delivery.exhausted"]);
  const config = aWatchedConfig(receiver, operator, { notify: [before] });
  const onDisk = { ...config, storage: { ...config.storage, path: `${folder}/outbox.db` } };
  let daemon = await aDaemon(onDisk, { clock });
  await exhaust(daemon, clock);
  await stopAtOnce(daemon, clock);
  clock.advance(10 * 60_000);
  daemon = await aDaemon({ ...onDisk, notify: [after] }, { clock });
  await exhaust(daemon, clock);
  assertEquals(operator.requests.length, 0);
  clock.advance(5 * 60_000);
  await operator.received(1);
  assertEquals([operator.requests[0]!.target, told(operator)[0].data.count], ["/after", 2]);
  await stopAtOnce(daemon, clock);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("notices: a channel can be tested, and the config page shows how", async () => {
  const clock = now();
  await using receiver = startRawServer();
  await using operator = startRawServer();
  const url = new Secret(`${operator.url}services/T024BE7LH/kh5VxJ8eNkLmPqRs`);
  const on: NoticeKind[] = ["subscription.failing"];
  const allowNetworks = ["127.0.0.0/8"];
  const notify: NoticeChannel[] = [
    webhookTo(operator.url),
    { kind: "slack", url, on, allowNetworks },
  ];
  const config = aWatchedConfig(receiver, operator, { notify });
  await using daemon = await aDaemon(config, { clock });
  for (const channel of notify) {
    const path = `/v1/subscriptions/${encodeURIComponent(channelId(channel))}/test`;
    assertEquals((await daemon.call("POST", path, {})).status, 202);
  }
  await operator.received(2);
  const [webhook, slack] = operator.requests.toSorted((a, b) => a.target.length - b.target.length);
  assertEquals(JSON.parse(webhook!.text()).type, "bellhook.test");
  assertMatch(JSON.parse(slack!.text()).text, /^this is a test: notices arrive here\n/);
  const page = await (await fetch(`${daemon.url}/dashboard/config`)).text();
  const host = new URL(operator.url).host;
  assert(page.includes(`Slack at ${host} (subscription.failing)`));
  assert(page.includes(`bellhook test ${channelId(notify[1]!)}`));
  assert(!page.includes("kh5VxJ8"));
});

Deno.test("notices: a channel gets only the kinds it lists", async () => {
  const clock = now();
  await using receiver = startRawServer({ status: 500 });
  await using operator = startRawServer();
  const notify = [webhookTo(operator.url, ["subscription.failing"])];
  await using daemon = await aDaemon(aWatchedConfig(receiver, operator, { notify }), { clock });
  await exhaust(daemon, clock);
  await operator.received(1);
  await exhaust(daemon, clock);
  clock.advance(DIGEST_MS);
  assertEquals(told(operator).map(({ type }) => type), ["subscription.failing"]);
});

Deno.test("notices: survive a restart and are retried; an exhausted one is only logged", async () => {
  const clock = now();
  const folder = await Deno.makeTempDir();
  await using receiver = startRawServer({ status: 500 });
  await using operator = startRawServer({ status: 503 });
  const config = aWatchedConfig(receiver, operator);
  const onDisk = { ...config, storage: { ...config.storage, path: `${folder}/outbox.db` } };
  let daemon = await aDaemon(onDisk, { clock });
  await exhaust(daemon, clock);
  await operator.received(1);
  await stopAtOnce(daemon, clock);

  clock.advance(3_600_000);
  daemon = await aDaemon(onDisk, { clock });
  await operator.received(3);
  const notices = () => daemon.call("GET", "/v1/deliveries?type=subscription.failing");
  for (let round = 0; round < 20; round++) {
    const { body } = await notices();
    if (body.items[0].state === "exhausted") break;
    clock.advance(86_400_000 * 1.2);
    await until(async () =>
      (await notices()).body.items[0].attemptCount > body.items[0].attemptCount
    );
  }
  const { body } = await notices();
  assertEquals([body.items.length, body.items[0].attemptCount], [1, 6]);
  const exhausted = await daemon.call("GET", "/v1/deliveries?type=delivery.exhausted");
  assertEquals(exhausted.body.items.length, 1);
  await stopAtOnce(daemon, clock);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("replay: counts on a dry run, then sends failed deliveries again, and continues after a restart", async () => {
  const clock = now();
  const folder = await Deno.makeTempDir();
  let status = 410 - 10;
  await using receiver = startRawServer(() => ({ status }));
  const subscription = aSubscription({
    url: receiver.url,
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
    ladder: { waitsMs: [] },
    concurrency: 64,
  });
  const config = aConfig({ subscriptions: [subscription] });
  const onDisk = { ...config, storage: { ...config.storage, path: `${folder}/outbox.db` } };
  const since = new Date(clock.wall()).toISOString();
  let daemon = await aDaemon(onDisk, { clock });
  await daemon.call("POST", "/v1/events", Array(250).fill(EVENT));
  await receiver.received(250);
  await until(async () =>
    (await daemon.call("GET", "/v1/subscriptions")).body.items[0].counts.exhausted === 250
  );
  status = 200;
  clock.advance(1);
  const filter = { since, state: "exhausted" };
  const dry = await daemon.call("POST", "/v1/replays", { ...filter, dryRun: true });
  assertEquals([dry.status, dry.body], [200, { count: 250 }]);
  const { status: started, body: { id } } = await daemon.call("POST", "/v1/replays", filter);
  assertEquals(started, 202);
  await receiver.received(300);
  await stopAtOnce(daemon, clock);

  daemon = await aDaemon(onDisk, { clock });
  await until(async () => {
    clock.advance(500);
    return (await daemon.call("GET", `/v1/replays/${id}`)).body.state === "finished";
  });
  await until(async () =>
    (await daemon.call("GET", "/v1/subscriptions")).body.items[0].counts.delivered === 250
  );
  const { body: replay } = await daemon.call("GET", `/v1/replays/${id}`);
  assertEquals([replay.total, replay.done], [250, 250]);
  assertEquals(receiver.requests.length, 500);
  const again = await daemon.call("POST", "/v1/replays", { ...filter, dryRun: true });
  assertEquals(again.body.count, 0);
  assertEquals((await daemon.call("GET", "/v1/replays/rpl_none")).status, 404);
  await daemon.stop();
  await Deno.remove(folder, { recursive: true });
});
