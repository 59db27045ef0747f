import { assert, assertEquals, assertRejects } from "@std/assert";
import type { Config } from "../../src/config/config.ts";
import type { DaemonPorts } from "../../src/daemon.ts";
import { Secret } from "../../src/domain/secret.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { OutboxUnavailable } from "../../src/outbox/errors.ts";
import { metricsRoutes } from "../../src/http/metrics.ts";
import type { TimedCommit } from "../../src/outbox/outbox.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { VERSION } from "../../src/version.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, stopAtOnce, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { type MetricFamily, parseExposition, valueOf } from "../support/exposition.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { promtool } from "../support/promtool.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

function to(url: string, overrides: Partial<Subscription> = {}): Subscription {
  return aSubscription({ url, allowHttp: true, allowNetworks: ["127.0.0.0/8"], ...overrides });
}

async function scrape(daemon: TestDaemon): Promise<Map<string, MetricFamily>> {
  const { status, headers, body } = await daemon.call("GET", "/metrics");
  assertEquals(status, 200);
  assertEquals(headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  return parseExposition(body);
}

/** Scrapes until the series has the value. */
function untilIs(
  daemon: TestDaemon,
  { name, labels, is }: { name: string; labels: Record<string, string>; is: number },
) {
  return until(async () => {
    const families = await scrape(daemon);
    return valueOf(families, name, labels) === is ? families : undefined;
  }, `${name}${JSON.stringify(labels)} is ${is}`);
}

/** A daemon on a file, as in real life. */
async function onAFile(
  config: Partial<Config>,
  ports: Partial<DaemonPorts> = {},
): Promise<TestDaemon> {
  const folder = await Deno.makeTempDir();
  const { storage } = aConfig();
  const path = `${folder}/bellhook.db`;
  const daemon = await aDaemon(aConfig({ ...config, storage: { ...storage, path } }), ports);
  return {
    ...daemon,
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test("metrics: promtool, or our own parser if it isn't installed, finds no problem", async () => {
  await using receiver = startRawServer([{}, { status: 503 }]);
  const id = 'odd "id"\\ with\nlines';
  await using daemon = await onAFile({ subscriptions: [to(receiver.url, { id })] });
  for (let i = 0; i < 2; i++) await daemon.call("POST", "/v1/events", EVENT);
  await untilIs(daemon, {
    name: "bellhook_attempts_total",
    labels: { subscription: id, result: "failure" },
    is: 1,
  });
  const { body } = await daemon.call("GET", "/metrics");
  parseExposition(body);
  const checked = await promtool(["check", "metrics"], body);
  if (checked) assertEquals(checked, { code: 0, said: "" });
});

Deno.test("metrics: count events and deliveries, and measure the time from accept to delivery", async () => {
  const clock = new FakeClock();
  await using receiver = startRawServer((_, index) => {
    clock.advance(100);
    return index === 0 ? { status: 503 } : {};
  });
  const daemon = await aDaemon(
    aConfig({ subscriptions: [to(receiver.url, { id: "pms" })] }),
    { clock },
  );
  await daemon.call("POST", "/v1/events", { ...EVENT, id: "evt_1" });
  await daemon.call("POST", "/v1/events", { ...EVENT, id: "evt_1" });
  const pms = { subscription: "pms" };
  const waiting = await untilIs(daemon, {
    name: "bellhook_pending_deliveries",
    labels: { ...pms, state: "waiting" },
    is: 1,
  });
  const of = (name: string, labels = {}) => valueOf(waiting, name, labels);
  assertEquals(of("bellhook_events_accepted_total"), 1);
  assertEquals(of("bellhook_events_repeated_total"), 1);
  assertEquals(of("bellhook_events_unmatched_total"), 0);
  assertEquals(of("bellhook_attempts_total", { ...pms, result: "failure" }), 1);
  assertEquals(of("bellhook_attempt_failures_total", { reason: "5xx" }), 1);
  assertEquals(of("bellhook_attempt_seconds_total", pms), 0.1);
  assertEquals(of("bellhook_subscription_consecutive_failures", pms), 1);
  assertEquals(of("bellhook_subscription_answering", pms), 0);
  assertEquals(of("bellhook_delivery_duration_seconds_count"), 0);

  clock.advance(60_000);
  await until(() => {
    clock.advance(0); // for a timer that is set only now
    return receiver.requests.length === 2;
  });
  const families = await untilIs(daemon, {
    name: "bellhook_deliveries_finished_total",
    labels: { ...pms, state: "delivered" },
    is: 1,
  });
  assertEquals(valueOf(families, "bellhook_attempts_total", { ...pms, result: "success" }), 1);
  assertEquals(valueOf(families, "bellhook_delivery_duration_seconds_count"), 1);
  assertEquals(valueOf(families, "bellhook_delivery_duration_seconds_sum"), 60.2);
  assertEquals(valueOf(families, "bellhook_attempt_duration_seconds_bucket", { le: "0.1" }), 2);
  await stopAtOnce(daemon, clock);
});

Deno.test("metrics: count events that no subscription gets", async () => {
  await using daemon = await aDaemon(aConfig());
  await daemon.call("POST", "/v1/events", [EVENT, EVENT]);
  const families = await scrape(daemon);
  assertEquals(valueOf(families, "bellhook_events_accepted_total"), 2);
  assertEquals(valueOf(families, "bellhook_events_unmatched_total"), 2);
});

Deno.test("metrics: count refusals by reason", async () => {
  const auth = {
    publishers: [{ name: "p", token: new Secret("pub-token"), scope: new Map([["a", ["1"]]]) }],
    operators: [{ name: "ada", token: new Secret("op-token") }],
  };
  await using daemon = await aDaemon(aConfig({ auth }));
  const post = (body: unknown, token = "op-token", headers = {}) =>
    daemon.call("POST", "/v1/events", body, { authorization: `Bearer ${token}`, ...headers });
  await post(EVENT, "wrong");
  await post(EVENT, "pub-token");
  await post("{");
  await post({});
  await post(EVENT, "op-token", { "content-type": "text/plain" });
  await post({ ...EVENT, data: "x".repeat(300_000) });
  await post({ ...EVENT, id: "a" });
  await post({ ...EVENT, id: "a", data: 1 });
  // An operator's failed request is not a publisher's.
  await daemon.call("GET", "/v1/events?limit=-1", undefined, { authorization: "Bearer op-token" });
  const { body } = await daemon.call("GET", "/metrics", undefined, {
    authorization: "Bearer op-token",
  });
  const { samples } = parseExposition(body).get("bellhook_requests_refused_total")!;
  const counted = samples.filter(({ value }) => value > 0);
  assertEquals(Object.fromEntries(counted.map(({ labels, value }) => [labels.reason, value])), {
    unauthorized: 1,
    forbidden: 1,
    malformed: 1,
    invalid: 1,
    media_type: 1,
    too_large: 1,
    conflict: 1,
  });
});

Deno.test("metrics: a database that can't be written shows as refusals and as not ready", async () => {
  await using daemon = await aDaemon(aConfig(), {
    openOutbox: async ({ path }) =>
      Object.assign(await openSqliteOutbox(path), {
        enqueue: () => Promise.reject(new OutboxUnavailable("the disk is full")),
        unavailableBecause: () => Promise.resolve("the disk is full"),
      }),
  });
  assertEquals((await daemon.call("POST", "/v1/events", EVENT)).status, 503);
  const families = await scrape(daemon);
  const refused = valueOf(families, "bellhook_requests_refused_total", { reason: "unavailable" });
  assertEquals([refused, valueOf(families, "bellhook_ready")], [1, 0]);
  assertEquals(valueOf(families, "bellhook_events_accepted_total"), 0);
});

Deno.test("metrics: failed commits are counted and measured like others", async () => {
  let commits: TimedCommit = (commit) => commit();
  await using daemon = await aDaemon(aConfig(), {
    openOutbox: async ({ path }) =>
      Object.assign(await openSqliteOutbox(path), {
        timeCommits: (timed: typeof commits) => commits = timed,
      }),
  });
  assertEquals(await commits(() => Promise.resolve("done")), "done");
  const full = () => Promise.reject(new OutboxUnavailable("the disk is full"));
  await assertRejects(() => commits(full), OutboxUnavailable);
  const families = await scrape(daemon);
  assertEquals(valueOf(families, "bellhook_commit_failures_total"), 1);
  assertEquals(valueOf(families, "bellhook_commit_duration_seconds_count"), 2);
});

Deno.test("metrics: show pending deliveries as due, waiting and held, and the age of the oldest due one", async () => {
  const clock = new FakeClock();
  const never = new Promise<void>(() => {});
  await using hanging = startRawServer({ after: never });
  await using failing = startRawServer({ status: 500 });
  const subscriptions = [
    to(hanging.url, { id: "slow", concurrency: 1 }),
    to(failing.url, { id: "failing" }),
    to(hanging.url, { id: "off", enabled: false }),
  ];
  const config = aConfig({ subscriptions });
  const daemon = await aDaemon({ ...config, server: { ...config.server, shutdownGraceMs: 0 } }, {
    clock,
  });
  await daemon.call("POST", "/v1/events", [EVENT, EVENT]);
  await untilIs(daemon, {
    name: "bellhook_pending_deliveries",
    labels: { subscription: "failing", state: "waiting" },
    is: 2,
  });
  await hanging.received(1);
  clock.advance(5_000);
  const families = await scrape(daemon);
  const pending = (subscription: string) =>
    ["due", "waiting", "held"].map((state) =>
      valueOf(families, "bellhook_pending_deliveries", { subscription, state })
    );
  assertEquals([pending("slow"), pending("failing"), pending("off")], [
    [2, 0, 0],
    [0, 2, 0],
    [0, 0, 2],
  ]);
  const oldest = (subscription: string) =>
    valueOf(families, "bellhook_oldest_due_age_seconds", { subscription });
  assertEquals([oldest("slow"), oldest("failing"), oldest("off")], [5, 0, 0]);
  assertEquals(valueOf(families, "bellhook_attempts_in_flight"), 1);
  await stopAtOnce(daemon, clock);
});

Deno.test("metrics: each subscription is in one state, and readiness follows the daemon", async () => {
  await using daemon = await aDaemon(aConfig({
    subscriptions: [aSubscription({ id: "a" }), aSubscription({ id: "b", enabled: false })],
  }));
  await daemon.call("POST", "/v1/subscriptions/a/pause");
  const families = await scrape(daemon);
  const state = (subscription: string) =>
    families.get("bellhook_subscription_state")!.samples
      .filter(({ labels, value }) => labels.subscription === subscription && value === 1)
      .map(({ labels }) => labels.state);
  assertEquals([state("a"), state("b")], [["paused"], ["disabled"]]);
  assertEquals(valueOf(families, "bellhook_ready"), 1);
  const deno = Deno.version.deno;
  assertEquals(valueOf(families, "bellhook_build_info", { version: VERSION, deno }), 1);
});

Deno.test("metrics: a failed reload shows until one succeeds; removed subscriptions disappear", async () => {
  const before = aConfig({ subscriptions: ["a", "b"].map((id) => aSubscription({ id })) });
  const after = { ...before, subscriptions: [aSubscription({ id: "b" })] };
  const problems = [{ file: "config.json", path: "", message: "no" }];
  let works = false;
  const clock = new FakeClock();
  const daemon = await aDaemon(before, {
    clock,
    reload: () =>
      Promise.resolve(
        works ? { ok: true, config: after, warnings: [] } : { ok: false, problems, warnings: [] },
      ),
  });
  const told = async () => {
    const families = await scrape(daemon);
    const attempts = families.get("bellhook_attempts_total")!.samples;
    return [
      valueOf(families, "bellhook_config_last_reload_successful"),
      valueOf(families, "bellhook_config_last_reload_success_timestamp_seconds"),
      new Set(attempts.map(({ labels }) => labels.subscription)).size,
    ];
  };
  const startedAt = clock.wall() / 1_000;
  assertEquals(await told(), [1, startedAt, 2]);
  clock.advance(1_000);
  assertEquals((await daemon.call("POST", "/-/reload")).status, 422);
  assertEquals(await told(), [0, startedAt, 2]);
  works = true;
  assertEquals((await daemon.call("POST", "/-/reload")).status, 200);
  assertEquals(await told(), [1, startedAt + 1, 1]);
  await stopAtOnce(daemon, clock);
});

Deno.test("metrics: the database's files, its disk, its commits, the loop and the process are measured", async () => {
  await using daemon = await onAFile({}, {
    watchLoop(tell) {
      tell(30);
      return () => {};
    },
  });
  await daemon.call("POST", "/v1/events", EVENT);
  const families = await scrape(daemon);
  const of = (name: string, labels = {}) => valueOf(families, name, labels)!;
  assert(of("bellhook_database_size_bytes", { file: "database" }) > 0);
  assert(of("bellhook_database_size_bytes", { file: "journal" }) > 0);
  assert(of("bellhook_disk_size_bytes") > of("bellhook_disk_free_bytes"));
  assert(of("bellhook_disk_free_bytes") > 0);
  assert(of("bellhook_commit_duration_seconds_sum") > 0);
  assertEquals(of("bellhook_event_loop_delay_seconds_bucket", { le: "0.025" }), 0);
  assertEquals(of("bellhook_event_loop_delay_seconds_bucket", { le: "0.05" }), 1);
  assert(of("process_cpu_seconds_total") > 0);
  assert(of("process_resident_memory_bytes") > 10_000_000);
  assert(of("process_start_time_seconds") > 1_600_000_000);
});

Deno.test("metrics: contain nothing of a subscription's URL, secret and headers", async () => {
  const secret = new Secret("whsec_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0");
  const receiver = aSubscription({ url: "https://r.example/?token=t0ken", secret });
  await using daemon = await aDaemon(aConfig({ subscriptions: [receiver] }));
  const { body } = await daemon.call("GET", "/metrics");
  for (const hidden of ["t0ken", "r.example", "c2Vjcm"]) assert(!body.includes(hidden), hidden);
});

Deno.test("metrics: nothing is read for HEAD", async () => {
  let begun = 0;
  const routes = metricsRoutes({
    async *metrics() {
      begun++;
      yield await Promise.resolve("a 1\n");
    },
  });
  const { status, headers } = await routes.request("/", { method: "HEAD" });
  assertEquals([status, headers.get("content-type")?.slice(0, 10)], [200, "text/plain"]);
  assertEquals(begun, 0);
  assertEquals(await (await routes.request("/")).text(), "a 1\n");
  assertEquals(begun, 1);
});
