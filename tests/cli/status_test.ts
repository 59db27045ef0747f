import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
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
    ["b-disabled", "disabled"],
    ["a-healthy", "healthy"],
  ]);
  assertMatch(stderr, /^ready\n/);
  assertStringIncludes(stderr, "bellhook deliveries --subscription c-failing --state exhausted");
  assertMatch(stderr, /d-paused: to go on \(paused by local\): bellhook resume d-paused/);
  assertEquals(
    objectsOf((await house.run(["status", "--json"])).stdout)[0].health.state,
    "failing",
  );
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
