import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { aHouse, objectsOf, rowsOf, to, tooWide } from "./a_house.ts";

Deno.test("deliveries: a table on a terminal, lines of tabs in a pipe, objects with --json", async () => {
  await using house = await aHouse();
  const [id] = await house.posted({ id: "evt_1" });
  const clock = new FakeClock(systemClock.wall() + 180_000);
  const table = await house.run(["deliveries"], { columns: 120, clock });
  assertMatch(table.stdout, /^DELIVERY +STATE +SUBSCRIPTION +TYPE +CREATED +ATTEMPTS +NOTE\n/);
  assertMatch(
    table.stdout,
    /dlv_\w{26} {2}delivered {2}guests +booking\.created {2}3 m ago {2}1\n$/,
  );

  const piped = await house.run(["deliveries"]);
  const [row] = rowsOf(piped.stdout);
  assertEquals([row![0], row![1], row![2], row![5]], [id, "delivered", "guests", "1"]);
  assertMatch(row![4]!, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);

  const [object] = objectsOf((await house.run(["deliveries", "--json"])).stdout);
  assertEquals([object.id, object.event, object.state], [id, "evt_1", "delivered"]);
});

Deno.test("deliveries: on eighty columns a row says why, and its type gives way", async () => {
  const ladder = { waitsMs: [3_600_000] };
  await using house = await aHouse({
    replies: (request) => request.target === "/drops" ? { drop: true } : { status: 503 },
    subscriptions: (server) => [
      to(server, { id: "channel-manager", ladder }),
      to(server, { id: "guests" }),
      to(server, { id: "pms-of-the-harbour", url: `${server.url}drops`, ladder }),
    ],
  });
  const type = "reservation.payment.schedule.updated";
  const { body } = await house.daemon.call("POST", "/v1/events", { type, data: 1 });
  for (const { id } of body.deliveries) {
    await until(async () =>
      (await house.daemon.call("GET", `/v1/deliveries/${id}`)).body.attemptCount === 1
    );
  }
  const { stdout } = await house.run(["deliveries"], { columns: 80 });
  assertEquals(tooWide(stdout, 80), []);
  assertMatch(stdout, /^dlv_\w{26} {2}exhausted {2}guests .*503 Service Unava…$/m);
  assertMatch(stdout, /^dlv_\w{26} {2}pending .*503 Service Unava…$/m);
  assertMatch(stdout, /^dlv_\w{26} {2}pending .*connection closed…$/m);
  assert(!stdout.includes("TYPE"));
  const wide = (await house.run(["deliveries"], { columns: 200 })).stdout;
  assertMatch(wide, /channel-manager +reservation.payment.schedule.updated .*Unavailable, next in/);

  const piped = rowsOf((await house.run(["deliveries", "--subscription", "guests"])).stdout);
  const [reason, result] = piped[0]!.slice(6);
  assertEquals(reason, "attempt 1, the last, failed: the receiver answered 503");
  assertEquals(result, "503 Service Unavailable");
});

Deno.test("deliveries: on forty columns every line fits, and the id stays whole", async () => {
  await using house = await aHouse();
  const [id] = await house.posted();
  for (const args of [[], [id!]]) {
    const { stdout } = await house.run(["deliveries", ...args], { columns: 40 });
    assertEquals(tooWide(stdout, 40), []);
    assertStringIncludes(stdout, id!);
  }
});

Deno.test("deliveries: colours on a terminal alone", async () => {
  await using house = await aHouse();
  await house.posted();
  const coloured = await house.run(["deliveries"], { columns: 120, colour: true });
  assertStringIncludes(coloured.stdout, "\x1b[32mdelivered\x1b[0m");
  assert(!(await house.run(["deliveries"])).stdout.includes("\x1b"));
});

Deno.test("deliveries: every filter of the API is an option", async () => {
  await using house = await aHouse({
    replies: (request) => ({ status: request.text().includes("bad") ? 500 : 200 }),
    subscriptions: (server) => [to(server), to(server, { id: "staff", enabled: false })],
  });
  const post = (event: Record<string, unknown>) => house.daemon.call("POST", "/v1/events", event);
  await post({ id: "evt_held", type: "booking.created", data: "x" });
  await post({ id: "evt_bad", type: "booking.bad", data: { bad: "needle" } });
  const events = async (...args: string[]) => {
    const { exitCode, stdout, stderr } = await house.run(["deliveries", "--json", ...args]);
    assertEquals(exitCode, 0, stderr);
    return objectsOf(stdout).map(({ event, subscription }) => `${event} ${subscription}`).sort();
  };
  const held = ["evt_bad staff", "evt_held staff"];
  assertEquals(await events("--state", "pending", "--subscription", "staff"), held);
  assertEquals(await events("--subscription", "staff", "--type", "booking.bad"), [held[0]!]);
  assertEquals(await events("--event", "evt_held", "--subscription", "staff"), [held[1]!]);
  assertEquals(await events("--q", "needle", "--subscription", "staff"), [held[0]!]);
  await until(async () => (await events("--status", "500")).join() === "evt_bad guests");
  assertEquals((await events("--since", "2h")).length, 4);
  assertEquals(await events("--until", "2h"), []);
  assertEquals(
    await events("--since", "2024-01-01T00:00:00Z", "--until", "2024-01-02T00:00:00Z"),
    [],
  );
});

Deno.test("deliveries: pages are followed as far as --limit says, or to the end", async () => {
  await using house = await aHouse({
    subscriptions: (server) => [to(server, { enabled: false })],
  });
  const events = Array.from({ length: 600 }, (_, i) => ({ id: `e${i}`, type: "a", data: i }));
  await house.daemon.call("POST", "/v1/events", events);
  const count = async (...args: string[]) => {
    const { stdout, stderr } = await house.run(["deliveries", ...args]);
    return [rowsOf(stdout).length, stderr.includes("--all shows them")];
  };
  assertEquals(await count(), [50, true]);
  assertEquals(await count("--limit", "550"), [550, true]);
  assertEquals(await count("--limit", "600"), [600, false]);
  assertEquals(await count("--all"), [600, false]);
  const ids = rowsOf((await house.run(["deliveries", "--all"])).stdout).map(([id]) => id);
  assertEquals(new Set(ids).size, 600);
});

Deno.test("deliveries: no more is asked for once nobody reads", async () => {
  await using house = await aHouse({
    subscriptions: (server) => [to(server, { enabled: false })],
  });
  const events = Array.from({ length: 600 }, (_, i) => ({ id: `e${i}`, type: "a", data: i }));
  await house.daemon.call("POST", "/v1/events", events);
  const { exitCode, stdout } = await house.run(["deliveries", "--all"], { hasReader: () => false });
  assertEquals([exitCode, rowsOf(stdout).length], [0, 500]);
});

Deno.test("deliveries ID: every attempt, what it means, and what the receiver said", async () => {
  await using house = await aHouse({
    replies: { status: 500, body: "boom \x1b[31m\n".repeat(90) },
  });
  const [id] = await house.posted({}, "exhausted");
  const shown = await house.run(["deliveries", id!], { columns: 100 });
  assertEquals(shown.exitCode, 0);
  assertMatch(shown.stdout, /^state +exhausted$/m);
  assertMatch(shown.stdout, /^attempt 1 {2}failure {2}500 {2}in \d+ ms/m);
  assertStringIncludes(shown.stdout, "the receiver's code failed");
  assertStringIncludes(shown.stdout, "answer: boom \\u{001b}[31m\\nboom");
  assertStringIncludes(shown.stdout, "…");
  assert(!shown.stdout.includes("\x1b"));

  const rows = rowsOf((await house.run(["deliveries", id!])).stdout);
  const attempt = rows.find(([name]) => name === "attempt")!;
  assertEquals([attempt[1], attempt[3], attempt[4]], ["1", "failure", "500"]);
  assertEquals(rows.find(([name]) => name === "state"), ["state", "exhausted"]);

  const [object] = objectsOf((await house.run(["deliveries", id!, "--json"])).stdout);
  assertEquals([object.id, object.attempts.length], [id, 1]);
});

Deno.test("deliveries ID: --body is what was sent, to the byte", async () => {
  await using house = await aHouse();
  const [id] = await house.posted({ data: { note: "ü" } });
  const sent = house.receiver.requests[0]!.text();
  assertEquals((await house.run(["deliveries", id!, "--body"])).stdout, sent);
  assertEquals(
    (await house.run(["deliveries", id!, "--body"], { columns: 80 })).stdout,
    `${sent}\n`,
  );
  const json = await house.run(["deliveries", id!, "--body", "--json"]);
  assertEquals(objectsOf(json.stdout), [{ body: sent }]);
});

Deno.test("deliveries ID: --curl repeats the request, without its secrets", async () => {
  await using house = await aHouse({
    subscriptions: (server) => [to(server, { headers: [["X-Key", new Secret("s3cr3t")]] })],
  });
  const [id] = await house.posted();
  const { stdout, stderr } = await house.run(["deliveries", id!, "--curl"]);
  assertMatch(stdout, /^curl --request POST --globoff http:\/\/127/);
  assertStringIncludes(stdout, "--header 'X-Key: [redacted]'");
  assertStringIncludes(stdout, `--data-raw '${house.receiver.requests[0]!.text()}'`);
  assert(!stdout.includes("s3cr3t"));
  assertStringIncludes(stderr, "[redacted]");
});

Deno.test("deliveries: what is not there is exit code 3, what makes no sense is 2", async () => {
  await using house = await aHouse();
  assertEquals((await house.run(["deliveries", "dlv_none"])).exitCode, 3);
  const wrong = [
    ["--state", "lost"],
    ["--since", "yesterday"],
    ["--limit", "0"],
    ["--status", "banana"],
    ["--body"],
    ["dlv_1", "--state", "pending"],
    ["dlv_1", "--all"],
    ["dlv_1", "--body", "--curl"],
  ];
  for (const args of wrong) {
    const { exitCode, stdout } = await house.run(["deliveries", ...args]);
    assertEquals([exitCode, stdout], [2, ""], args.join(" "));
  }
  const none = await house.run(["deliveries"]);
  assertEquals([none.exitCode, none.stdout, none.stderr], [0, "", "no delivery fits\n"]);
});

Deno.test("deliveries ID: before anything is sent there is no body", async () => {
  await using house = await aHouse({ subscriptions: (server) => [to(server, { enabled: false })] });
  const [id] = await house.posted({}, "pending");
  assertEquals((await house.run(["deliveries", id!, "--body"])).exitCode, 1);
  const shown = await house.run(["deliveries", id!], { columns: 80 });
  assertMatch(shown.stdout, /^held +its subscription is paused, disabled or gone/m);
});
