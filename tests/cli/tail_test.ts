import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aHouse, objectsOf, rowsOf, to, tooWide } from "./a_house.ts";
import { type Captured, finish, start } from "./captured.ts";

function isFollowing(tail: Captured) {
  return until(() => tail.stderr.includes("following"), "the tail follows");
}

Deno.test("tail: a line for each change, until Ctrl-C", async () => {
  await using house = await aHouse();
  const piped = house.start(["tail"]);
  const terminal = house.start(["tail"], { columns: 40 });
  const json = house.start(["tail", "--json"]);
  for (const tail of [piped, terminal, json]) await isFollowing(tail);
  const [id] = await house.posted();
  for (const tail of [piped, terminal, json]) {
    await until(() => tail.stdout.includes("delivered"), "the delivery is shown");
    tail.signal("SIGINT");
    assertEquals(await tail.exit, 0);
  }
  const rows = rowsOf(piped.stdout).filter(([, kind]) => kind === "delivery");
  assertEquals(rows.map((row) => row.slice(2, 6)), [
    ["pending", "guests", "booking.created", id!],
    ["delivered", "guests", "booking.created", id!],
  ]);
  assertMatch(rows[0]![0]!, /^\d{4}-\d\d-\d\dT/);
  assertEquals(tooWide(terminal.stdout, 40), []);
  assertMatch(terminal.stdout, /^\d\d:\d\d:\d\d {2}delivered {2}guests$/m);
  const objects = objectsOf(json.stdout).filter(({ kind }) => kind === "delivery");
  assertEquals(objects.map(({ state }) => state), ["pending", "delivered"]);
});

Deno.test("tail: on eighty columns a line says why, and its type gives way", async () => {
  await using house = await aHouse({ replies: { status: 503 } });
  const terminal = house.start(["tail"], { columns: 80 });
  const piped = house.start(["tail"]);
  for (const tail of [terminal, piped]) await isFollowing(tail);
  const [id] = await house.posted({ type: "reservation.payment.updated" }, "exhausted");
  for (const tail of [terminal, piped]) {
    await until(() => tail.stdout.includes("failing"), "the change of health is shown");
    tail.signal("SIGINT");
    assertEquals(await tail.exit, 0);
  }
  assertMatch(
    terminal.stdout,
    new RegExp(`^\\d\\d:\\d\\d:\\d\\d {2}exhausted {2}guests {2}${id} {2}503 Service Unava`, "m"),
  );
  assertMatch(terminal.stdout, /^\d\d:\d\d:\d\d {2}failing {2}guests {2}503 Service Unavailable$/m);
  assertEquals(tooWide(terminal.stdout, 80), []);
  const rows = rowsOf(piped.stdout).map((row) => row.slice(1, 4).concat(row.slice(7)));
  assertEquals(rows.find(([kind, state]) => kind === "delivery" && state === "exhausted"), [
    ...["delivery", "exhausted", "guests", "503 Service Unavailable"],
  ]);
});

Deno.test("tail: only what is asked for", async () => {
  await using house = await aHouse({
    subscriptions: (server) => [to(server), to(server, { id: "staff" })],
  });
  const delivered = house.start(["tail", "--state", "delivered", "--subscription", "guests"]);
  const staff = house.start(["tail", "--subscription", "staff"]);
  const tails = [delivered, staff];
  for (const tail of tails) await isFollowing(tail);
  await house.posted();
  await house.run(["pause", "staff"]);
  await until(() => delivered.stdout !== "" && staff.stdout.includes("paused"));
  for (const tail of tails) {
    tail.signal("SIGINT");
    assertEquals(await tail.exit, 0);
  }
  const shown = (tail: Captured) => rowsOf(tail.stdout).map((row) => row.slice(1, 4).join(" "));
  assertEquals(shown(delivered), ["delivery delivered guests"]);
  assertEquals(shown(staff), [
    ...["delivery pending staff", "delivery delivered staff", "subscription paused staff"],
  ]);
});

const HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n";

Deno.test("tail: goes on where it was when the connection breaks, and says so", async () => {
  const change = (id: string, subscription: string) =>
    `id: ${id}\nevent: subscription\ndata: {"id":"${subscription}","health":{"state":"failing"}}\n\n`;
  const never = new Promise(() => {});
  await using server = startRawServer([
    { raw: [HEAD + change("r-1", "one")], close: true },
    { drop: true },
    { status: 503, body: "{}", close: true },
    { raw: [`${HEAD}id: r-9\nevent: gap\ndata: {}\n\n${change("r-10", "two")}`, never] },
  ]);
  const clock = new FakeClock();
  const tail = start(["tail", "--url", server.url], { clock });
  await until(() => {
    if (tail.stderr.includes("the connection broke")) clock.advance(2_000);
    return tail.stdout.includes("two");
  });
  tail.signal("SIGINT");
  assertEquals(await tail.exit, 0);
  assertEquals(
    server.requests.map((request) => request.header("last-event-id")),
    [undefined, "r-1", "r-1", "r-1"],
  );
  assertEquals(tail.stderr.match(/the connection broke/g)?.length, 1);
  assertStringIncludes(tail.stderr, "connected again");
  assertStringIncludes(tail.stderr, "changes were missed here");
});

Deno.test("tail: a connection that has fallen silent is given up", async () => {
  const never = new Promise(() => {});
  await using server = startRawServer({ raw: [HEAD + ": ping\n\n", never] });
  const clock = new FakeClock();
  const tail = start(["tail", "--url", server.url], { clock });
  await server.received(1);
  await until(() => {
    clock.advance(1_000);
    return server.requests.length > 1;
  }, "a second connection");
  tail.signal("SIGTERM");
  assertEquals(await tail.exit, 0);
  assertStringIncludes(tail.stderr, "the connection broke");
});

Deno.test("tail: ends when nobody reads it any more", async () => {
  await using house = await aHouse();
  let hasReader = true;
  const tail = house.start(["tail"], { hasReader: () => hasReader });
  await isFollowing(tail);
  hasReader = false;
  await house.posted();
  assertEquals(await tail.exit, 0);
});

Deno.test("tail: no daemon at the start is exit code 4, no leave 5", async () => {
  const closed = startRawServer();
  await closed.close();
  assertEquals((await finish(["tail", "--url", closed.url])).exitCode, 4);
  await using server = startRawServer({ status: 401, body: `{"detail":"no"}`, close: true });
  assertEquals((await finish(["tail", "--url", server.url])).exitCode, 5);
});
