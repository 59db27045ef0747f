import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { aHouse, objectsOf, rowsOf, to, tooWide } from "./a_house.ts";
import { finish } from "./captured.ts";

/** One receiver that fails for `failing`, and three more subscriptions of it. */
function aMixedHouse() {
  return aHouse({
    replies: (request) => ({ status: request.target === "/failing" ? 500 : 200 }),
    subscriptions: (server) => [
      to(server, { id: "a-healthy" }),
      to(server, { id: "b-disabled", enabled: false }),
      to(server, { id: "c-failing", url: `${server.url}failing` }),
      to(server, { id: "d-paused" }),
    ],
  });
}

async function unsettle(house: Awaited<ReturnType<typeof aHouse>>) {
  await house.run(["pause", "d-paused"]);
  await house.run(["test", "c-failing"]);
  await house.run(["test", "a-healthy"]);
}

Deno.test("status: the unhealthy ones first, and the command that helps", async () => {
  await using house = await aMixedHouse();
  await unsettle(house);
  const { exitCode, stdout, stderr } = await house.run(["status"]);
  assertEquals(exitCode, 0);
  assertEquals(rowsOf(stdout).map(([id, state]) => [id, state]), [
    ["c-failing", "failing"],
    ["d-paused", "paused"],
  ]);
  assertMatch(
    stderr,
    /^ready\n4 subscriptions: 1 failing, 1 paused, 1 disabled, 1 healthy\n/,
  );
  assertStringIncludes(stderr, "the others need no attention; bellhook status --all shows all");
  assertStringIncludes(stderr, "bellhook deliveries --subscription c-failing --state exhausted");
  assertMatch(stderr, /d-paused: to go on \(paused by local\): bellhook resume d-paused/);
  const all = await house.run(["status", "--all"]);
  assertEquals(rowsOf(all.stdout).map(([id, state]) => [id, state]), [
    ["c-failing", "failing"],
    ["d-paused", "paused"],
    ["b-disabled", "disabled"],
    ["a-healthy", "healthy"],
  ]);
  const objects = objectsOf((await house.run(["status", "--json"])).stdout);
  assertEquals(objects.map(({ health }) => health.state), [
    "failing",
    "paused",
    "disabled",
    "healthy",
  ]);
});

Deno.test("status: where none needs attention it says how many there are", async () => {
  await using house = await aHouse({
    subscriptions: (server) => [to(server), to(server, { id: "staff" })],
  });
  const { stdout, stderr } = await house.run(["status"], { columns: 80 });
  assertEquals(stdout, "");
  assertEquals(
    stderr,
    "ready\n2 subscriptions: 2 healthy\nnone needs attention; bellhook status --all shows all\n",
  );
});

Deno.test("status: a disabled subscription needs attention while deliveries wait for it", async () => {
  await using house = await aHouse({ subscriptions: (server) => [to(server, { enabled: false })] });
  assertEquals((await house.run(["status"])).stdout, "");
  await house.daemon.call("POST", "/v1/events", { type: "t", data: 1 });
  assertEquals(rowsOf((await house.run(["status"])).stdout).map(([id]) => id), ["guests"]);
});

Deno.test("status: one whose last attempt failed is shown, though it has answered before", async () => {
  await using house = await aHouse({
    replies: [{}, { status: 503 }],
    subscriptions: (server) => [to(server, { ladder: { waitsMs: [3_600_000] } })],
  });
  await house.posted();
  const { body } = await house.daemon.call("POST", "/v1/events", { type: "t", data: 1 });
  await until(async () =>
    (await house.daemon.call("GET", `/v1/deliveries/${body.deliveries[0].id}`)).body.attemptCount >
      0
  );
  const { stdout, exitCode } = await house.run(["status", "--check"]);
  const [row] = rowsOf(stdout);
  assertEquals([row![0], row![1], row![6]], ["guests", "healthy", "503 Service Unavailable"]);
  assertEquals(exitCode, 0);
});

Deno.test("status: of very many that need attention it shows the first, and says how many more", async () => {
  const subscriptions = Array.from({ length: 300 }, (_, index) => `s${1_000 + index}`);
  await using house = await aHouse({
    replies: { status: 500 },
    subscriptions: (server) => subscriptions.map((id) => to(server, { id, enabled: false })),
  });
  await house.daemon.call("POST", "/v1/events", { type: "t", data: 1 });
  const { stdout, stderr } = await house.run(["status"]);
  assertEquals(rowsOf(stdout).length, 50);
  assertStringIncludes(stderr, "250 more need attention; bellhook status --all shows all");
  assertEquals(rowsOf((await house.run(["status", "--all"])).stdout).length, 300);
});

Deno.test("status: a receiver that never answered needs attention, and --check exits 1", async () => {
  await using house = await aHouse({
    replies: (request) => request.target === "/silent" ? { drop: true } : { status: 503 },
    subscriptions: (server) => [
      to(server, { id: "a-well", url: `${server.url}silent`, enabled: false }),
      to(server, { id: "b-refuses", ladder: { waitsMs: [3_600_000] } }),
      to(server, { id: "c-drops", url: `${server.url}silent`, ladder: { waitsMs: [3_600_000] } }),
    ],
  });
  assertEquals((await house.run(["status", "--check"])).exitCode, 0);
  const { body } = await house.daemon.call("POST", "/v1/events", { type: "t", data: 1 });
  for (const { id, subscription } of body.deliveries) {
    if (subscription === "a-well") continue;
    await until(async () =>
      (await house.daemon.call("GET", `/v1/deliveries/${id}`)).body.attemptCount === 1
    );
  }
  const table = await house.run(["status", "--check"], { columns: 80 });
  assertEquals(table.exitCode, 1);
  assertMatch(table.stdout, /^b-refuses +not answering +\S.*503 Service Unavail\S*$/m);
  assertMatch(table.stdout, /^c-drops +not answering +\S.*connection closed\S*/m);
  assertEquals(tooWide(table.stdout, 80), []);
  assertStringIncludes(table.stderr, "b-refuses: to try it now:    bellhook test b-refuses");
  const [row] = rowsOf((await house.run(["status"])).stdout);
  assertEquals([row![0], row![1], row![4], row![5], row![6]], [
    "b-refuses",
    "not answering",
    "1",
    "1",
    "503 Service Unavailable",
  ]);
  const one = await house.run(["status", "c-drops", "--check"], { columns: 80 });
  assertEquals(one.exitCode, 1);
  assertMatch(one.stdout, /^state +not answering$/m);
  assertMatch(one.stdout, /^last answer +connection closed without an answer$/m);
});

Deno.test("status: fits forty columns", async () => {
  await using house = await aMixedHouse();
  await unsettle(house);
  for (const args of [[], ["c-failing"]]) {
    const { stdout } = await house.run(["status", ...args], { columns: 40 });
    assertEquals(tooWide(stdout, 40), []);
    assertStringIncludes(stdout, "failing");
  }
});

Deno.test("status --check: exit code 1 when one is failing or paused", async () => {
  await using house = await aHouse();
  assertEquals((await house.run(["status", "--check"])).exitCode, 0);
  await house.run(["pause", "guests"]);
  assertEquals((await house.run(["status", "--check"])).exitCode, 1);
  assertEquals((await house.run(["status", "--check", "guests"])).exitCode, 1);
  assertEquals((await house.run(["status"])).exitCode, 0);
});

Deno.test("status ID: its settings, its recent failures, and what they mean", async () => {
  await using house = await aMixedHouse();
  await unsettle(house);
  const shown = await house.run(["status", "c-failing"], { columns: 100 });
  assertEquals(shown.exitCode, 0);
  assertMatch(shown.stdout, /^state +failing$/m);
  assertMatch(shown.stdout, /^failures in a row +1$/m);
  assertMatch(shown.stdout, /^dlv_\w{26} {2}exhausted {2}500 {2}/m);
  assertStringIncludes(shown.stdout, "the receiver's code failed");
  assert(!shown.stdout.includes("whsec_"));

  const [object] = objectsOf((await house.run(["status", "c-failing", "--json"])).stdout);
  assertEquals([object.id, object.recentFailures.length], ["c-failing", 1]);
  const failure = rowsOf((await house.run(["status", "c-failing"])).stdout).at(-1)!;
  assertEquals([failure[0], failure[2], failure[4]], ["failure", "exhausted", "500"]);
  assertEquals((await house.run(["status", "nobody"])).exitCode, 3);
});

Deno.test("status: without a daemon exit code 4", async () => {
  const house = await aHouse();
  await house[Symbol.asyncDispose]();
  assertEquals((await house.run(["status"])).exitCode, 4);
});

Deno.test("status: tells of what the config has no more and still holds deliveries", async () => {
  const gone = aSubscription({ id: "gone", enabled: false });
  await using daemon = await aDaemon(aConfig({ subscriptions: [gone] }), {
    clock: new FakeClock(),
    reload: () => Promise.resolve({ ok: true, config: aConfig(), warnings: [] }),
  });
  await daemon.call("POST", "/v1/events", { type: "booking.created", data: 1 });
  await daemon.call("POST", "/-/reload");
  const { exitCode, stderr } = await finish(["status", "--url", daemon.url]);
  assertEquals(exitCode, 0);
  assertStringIncludes(stderr, "gone: the config has it no more; holds 1 pending");
  assertStringIncludes(stderr, "bellhook cancel --subscription gone");
});
