import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { compilePattern } from "../../src/domain/pattern.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { aDirectory } from "./captured.ts";
import { aHouse, objectsOf, rowsOf, to, tooWide } from "./a_house.ts";

function threeSubscriptions(server: Parameters<typeof to>[0]) {
  return [
    to(server, { id: "all" }),
    to(server, { id: "guests", events: [compilePattern("guest.*")] }),
    to(server, { id: "venue", scope: new Map([["venue_id", ['"v1"']]]), enabled: false }),
  ];
}

Deno.test("match: every subscription with yes or no, the rule that decided, and why", async () => {
  await using house = await aHouse({ subscriptions: threeSubscriptions });
  const { exitCode, stdout } = await house.run(["match", "booking.created"]);
  assertEquals(exitCode, 0);
  const rows = rowsOf(stdout);
  assertEquals(rows.map((row) => row.slice(0, 3)), [
    ["all", "yes", ""],
    ["guests", "no", "events"],
    ["venue", "no", "scope"],
  ]);
  assertStringIncludes(rows[1]![3]!, "booking.created");

  const some = await house.run([
    ...["match", "--scope", "venue_id=v1", "booking.created", "--only-matching", "--json"],
  ]);
  assertEquals(objectsOf(some.stdout).map(({ subscription, held }) => [subscription, held]), [
    ["all", false],
    ["venue", true],
  ]);
});

Deno.test("match: on a terminal it fits, however narrow", async () => {
  await using house = await aHouse({ subscriptions: threeSubscriptions });
  for (const columns of [40, 60, 100]) {
    const { stdout } = await house.run(["match", "booking.created"], { columns });
    assertEquals(tooWide(stdout, columns), []);
    assertStringIncludes(stdout, "guests");
  }
});

Deno.test("match: exit code 0 even if none matches, and nothing is stored", async () => {
  await using house = await aHouse({ subscriptions: () => [] });
  await using directory = await aDirectory({ "event.json": `{"type": "a", "data": 1}` });
  const { exitCode, stderr } = await house.run(["match", "--file", `${directory.path}/event.json`]);
  assertEquals([exitCode, stderr], [0, "no subscription gets it\n"]);
  assertEquals((await house.daemon.call("GET", "/v1/events")).body.items, []);
});

Deno.test("match: what is no event is not valid", async () => {
  await using house = await aHouse();
  for (const args of [[], ["a", "--data", "{"], ["a", "--scope", "x"]]) {
    assertEquals((await house.run(["match", ...args])).exitCode, 2, args.join(" "));
  }
});

Deno.test("test: waits for the receiver's answer and tells it", async () => {
  await using house = await aHouse();
  const { exitCode, stdout } = await house.run(
    ["test", "guests", "--type", "a", "--data", "1.10"],
    {
      columns: 80,
    },
  );
  assertEquals(exitCode, 0);
  assertMatch(stdout, /^success {2}200 {2}in \d+ ms {2}a\n$/);
  assertStringIncludes(house.receiver.requests[0]!.text(), `"data":1.10`);
  const [row] = rowsOf((await house.run(["test", "guests"])).stdout);
  assertEquals(row!.slice(1, 3), ["success", "200"]);
});

Deno.test("test: a failure has its diagnosis, and exit code 1", async () => {
  await using house = await aHouse({ replies: { status: 401 } });
  const told = await house.run(["test", "guests"], { columns: 80 });
  assertEquals(told.exitCode, 1);
  assertMatch(told.stdout, /^failure {2}401 {2}in /);
  assertStringIncludes(told.stdout, "the receiver rejected the signature");
  const json = await house.run(["test", "guests", "--json"]);
  assertEquals(json.exitCode, 1);
  assertEquals(objectsOf(json.stdout)[0].attempts[0].status, 401);
});

Deno.test("test: also while paused; --no-wait leaves at once; an unknown one is exit code 3", async () => {
  await using house = await aHouse();
  await house.run(["pause", "guests"]);
  assertEquals((await house.run(["test", "guests"])).exitCode, 0);
  const { exitCode, stdout } = await house.run(["test", "guests", "--no-wait"]);
  assertEquals(exitCode, 0);
  assertMatch(stdout, /^dlv_\w{26}\n$/);
  assertEquals((await house.run(["test", "nobody"])).exitCode, 3);
});

Deno.test("test: waits no longer than the receiver has time, and some", async () => {
  await using house = await aHouse({
    replies: { hang: true },
    config: {
      server: {
        listen: { kind: "tcp", host: "127.0.0.1", port: 0 },
        maxBodyBytes: 1e5,
        shutdownGraceMs: 0,
        socketMode: 0o660,
        basePath: "",
      },
    },
  });
  const clock = new FakeClock();
  const test = house.start(["test", "guests"], { clock });
  let exitCode: number | undefined;
  test.exit.then((code) => exitCode = code);
  await until(() => {
    clock.advance(1_000);
    return exitCode !== undefined;
  }, "the command gives up");
  assertEquals(exitCode, 1);
  assertMatch(test.stderr, /no attempt within 40\.0 s; later, see "bellhook deliveries dlv_/);
});
