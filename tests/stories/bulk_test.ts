import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { compilePattern } from "../../src/domain/pattern.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

/** Two subscriptions whose receivers are down until the test brings them up. */
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
  await until(async () => (await progress(daemon, id)).state === "finished");
  return await progress(daemon, id);
}

async function progress(daemon: TestDaemon, id: string) {
  return (await daemon.call("GET", `/v1/replays/${id}`)).body;
}

async function states(daemon: TestDaemon, query: string): Promise<Record<string, number>> {
  const { body } = await daemon.call("GET", `/v1/deliveries?limit=500&${query}`);
  const counts: Record<string, number> = {};
  for (const { state } of body.items) counts[state] = (counts[state] ?? 0) + 1;
  return counts;
}

Deno.test("bulk: sends all pending deliveries of a subscription now, each once", async () => {
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
  assertEquals(jobs.map((one: { cause: string }) => one.cause.replace(/rpl_\w+/, "rpl")), [
    "began to retry 20 deliveries (rpl)",
  ]);
});

Deno.test("bulk: cancels the pending deliveries of a type, with a reason, and no others", async () => {
  await using day = await aBadDay(20);
  const { daemon } = day;
  const id = await start(daemon, { type: "booking.a", action: "cancel" });
  assertEquals((await finished(daemon, id)).done, 20);
  assertEquals(await states(daemon, "type=booking.a"), { cancelled: 20 });
  assertEquals(await states(daemon, "type=booking.b"), { pending: 20 });
  const { body } = await daemon.call("GET", "/v1/deliveries?state=cancelled&limit=1");
  assertStringIncludes(body.items[0].reason, id);
  // The second time there is nothing to do.
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

Deno.test("bulk: ignores deliveries created after its start, and can be stopped", async () => {
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

/** A daemon with a stopped clock, and this many held deliveries for each of two subscriptions. */
async function heldDeliveries(count: number) {
  const clock = new FakeClock();
  const subscriptions = ["crm", "erp"].map((id) =>
    aSubscription({ id, events: [compilePattern("booking.*")] })
  );
  const daemon = await aDaemon(aConfig({ subscriptions }), { clock });
  for (const { id } of subscriptions) await daemon.call("POST", `/v1/subscriptions/${id}/pause`);
  const events = Array.from({ length: count }, (_, i) => ({ type: "booking.a", data: i }));
  assertEquals((await daemon.call("POST", "/v1/events", events)).status, 202);
  return { daemon, clock };
}

async function causes(daemon: TestDaemon): Promise<string[]> {
  const { body } = await daemon.call("GET", "/v1/history?limit=9");
  return body.items.map(({ cause }: { cause: string }) => cause);
}

Deno.test("bulk: stopped half-way, it leaves the rest pending, and its progress is shown everywhere", async () => {
  const { daemon, clock } = await heldDeliveries(200);
  await using _ = daemon;
  const id = await start(daemon, { action: "cancel" });
  await until(async () => (await progress(daemon, id)).done === 250);
  const { body } = await daemon.call("POST", `/v1/replays/${id}/stop`);
  assertEquals([body.state, body.done, body.total], ["stopped", 250, 400]);
  clock.advance(60_000);
  assertEquals((await daemon.call("POST", `/v1/replays/${id}/stop`)).body, body);
  assertEquals(await states(daemon, "state=cancelled"), { cancelled: 250 });
  assertEquals(await states(daemon, "state=pending"), { pending: 150 });
  assertEquals((await causes(daemon)).slice(0, 2), [
    `stopped ${id} after 250 of 400 deliveries`,
    `began to cancel 400 deliveries (${id})`,
  ]);
});

Deno.test("bulk: a retry ignores the deliveries of paused subscriptions", async () => {
  const { daemon, clock } = await heldDeliveries(20);
  await using _ = daemon;
  const id = await start(daemon, { state: "pending", subscription: "crm" });
  await until(async () => {
    clock.advance(25);
    return (await progress(daemon, id)).state === "finished";
  });
  const { total, done } = await progress(daemon, id);
  assertEquals([total, done], [20, 0]);
  assertEquals(await states(daemon, ""), { pending: 40 });
});

Deno.test("bulk: a small one doesn't wait for a large one", async () => {
  const { daemon } = await heldDeliveries(900);
  await using _ = daemon;
  const large = await start(daemon, { action: "cancel", subscription: "crm" });
  await until(async () => (await progress(daemon, large)).done === 250);
  await daemon.call("POST", "/v1/events", { type: "booking.b", data: 1 });
  const small = await start(daemon, { action: "cancel", subscription: "erp", type: "booking.b" });
  await until(async () => (await progress(daemon, small)).done === 1);
  assertEquals((await progress(daemon, large)).done, 250);
});
