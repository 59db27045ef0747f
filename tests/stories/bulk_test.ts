import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { compilePattern } from "../../src/domain/pattern.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { until } from "../support/until.ts";

/** Two subscriptions whose receivers are down until the test says otherwise. */
async function aBadDay(count: number) {
  const down = { is: true };
  const got: string[] = [];
  const receiver = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    (request) => {
      got.push(new URL(request.url).pathname.slice(1));
      return new Response(null, { status: down.is ? 503 : 200 });
    },
  );
  const folder = await Deno.makeTempDir();
  const config = aConfig({
    storage: { ...aConfig().storage, path: `${folder}/bellhook.db` },
    subscriptions: ["crm", "erp"].map((id) =>
      aSubscription({
        id,
        events: [compilePattern("booking.*")],
        url: `http://127.0.0.1:${receiver.addr.port}/${id}`,
        allowHttp: true,
        allowNetworks: ["127.0.0.0/8"],
      })
    ),
  });
  const daemon = await aDaemon(config);
  for (let i = 0; i < count; i++) {
    await daemon.call("POST", "/v1/events", { type: i % 2 ? "booking.a" : "booking.b", data: i });
  }
  await until(() => got.length === 2 * count);
  await until(async () => {
    const { body } = await daemon.call("GET", "/v1/deliveries?limit=500");
    return body.items.every((one: { attemptCount: number }) => one.attemptCount === 1);
  });
  return {
    daemon,
    config,
    down,
    got,
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      await receiver.shutdown();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const since = "2020-01-01T00:00:00Z";

async function start(daemon: TestDaemon, body: unknown): Promise<string> {
  const answer = await daemon.call("POST", "/v1/replays", { since, ...body as object });
  assertEquals(answer.status, 202, JSON.stringify(answer.body));
  return answer.body.id;
}

async function finished(daemon: TestDaemon, id: string) {
  await until(async () =>
    (await daemon.call("GET", `/v1/replays/${id}`)).body.state === "finished"
  );
  return (await daemon.call("GET", `/v1/replays/${id}`)).body;
}

async function states(daemon: TestDaemon, query: string): Promise<Record<string, number>> {
  const { body } = await daemon.call("GET", `/v1/deliveries?limit=500&${query}`);
  const counts: Record<string, number> = {};
  for (const { state } of body.items) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

Deno.test("bulk: all that is pending for a subscription is sent now, and nothing twice", async () => {
  await using day = await aBadDay(20);
  const { daemon, got, down } = day;
  down.is = false;
  const before = got.length;
  const dry = await daemon.call("POST", "/v1/replays", {
    since,
    subscription: "crm",
    state: "pending",
    dryRun: true,
  });
  assertEquals(dry.body, { count: 20 });
  const { total, done, action } = await finished(
    daemon,
    await start(daemon, { subscription: "crm", state: "pending" }),
  );
  assertEquals([total, done, action], [20, 20, "send"]);
  await until(async () => (await states(daemon, "subscription=crm")).delivered === 20);
  assertEquals(got.slice(before), Array(20).fill("crm"));
  assertEquals(await states(daemon, "subscription=erp"), { pending: 20 });
  const { body } = await daemon.call("GET", "/v1/history");
  const jobs = body.items.filter((one: { kind: string }) => one.kind === "retried");
  assertEquals(jobs.length, 1);
  assertStringIncludes(jobs[0].cause, "20 deliveries");
});

Deno.test("bulk: what is pending of a type is cancelled, each with its reason, and the rest is not", async () => {
  await using day = await aBadDay(20);
  const { daemon } = day;
  const id = await start(daemon, { type: "booking.a", action: "cancel" });
  assertEquals((await finished(daemon, id)).done, 20);
  assertEquals(await states(daemon, "type=booking.a"), { cancelled: 20 });
  assertEquals(await states(daemon, "type=booking.b"), { pending: 20 });
  const { body } = await daemon.call("GET", "/v1/deliveries?state=cancelled&limit=1");
  assertStringIncludes(body.items[0].reason, id);
  // Again there is nothing left to do.
  const again = await finished(
    daemon,
    await start(daemon, { type: "booking.a", action: "cancel" }),
  );
  assertEquals([again.total, again.done], [0, 0]);
  const ended = await daemon.call("POST", "/v1/replays", {
    since,
    state: "exhausted",
    action: "cancel",
  });
  assertEquals(ended.status, 422);
  assertEquals(ended.body.errors[0].path, "state");
});

Deno.test("bulk: what comes after the start is left alone, and a stop ends it", async () => {
  await using day = await aBadDay(2);
  const { daemon } = day;
  const id = await start(daemon, { action: "cancel" });
  await daemon.call("POST", "/v1/events", { id: "later", type: "booking.a", data: 1 });
  await finished(daemon, id);
  const later = await daemon.call("GET", "/v1/deliveries?event=later");
  assert(later.body.items.every((one: { state: string }) => one.state === "pending"));
  const stopped = await daemon.call("POST", `/v1/replays/${id}/stop`);
  assertEquals([stopped.status, stopped.body.state], [200, "finished"]);
  assertEquals((await daemon.call("POST", "/v1/replays/rpl_none/stop")).status, 404);
});
