import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { aHouse, objectsOf, rowsOf, to } from "./a_house.ts";

/** A receiver that fails the first so many, and that many exhausted deliveries. */
async function aHouseWithExhausted(count: number) {
  const house = await aHouse({ replies: (_, index) => ({ status: index < count ? 500 : 200 }) });
  const ids: string[] = [];
  for (let i = 0; i < count; i++) ids.push(...await house.posted({ id: `evt_${i}` }, "exhausted"));
  return { house, ids };
}

Deno.test("retry: by id, one line each; what is unknown or refused does not stop the others", async () => {
  const { house, ids } = await aHouseWithExhausted(1);
  await using _ = house;
  const { exitCode, stdout, stderr } = await house.run(["retry", "dlv_none", ids[0]!]);
  assertEquals(exitCode, 3);
  assertStringIncludes(stderr, `there is no delivery "dlv_none"`);
  const [row] = rowsOf(stdout);
  assertMatch(row![0]!, /^dlv_/);
  assertEquals(row![2], ids[0]);
});

Deno.test("retry: a filter counts first, and asks", async () => {
  const { house } = await aHouseWithExhausted(3);
  await using _ = house;
  const args = ["retry", "--subscription", "guests", "--since", "1h"];
  const declined = await house.run(args, { columns: 80, stdin: "n\n" });
  assertEquals([declined.exitCode, declined.stdout], [1, ""]);
  assertEquals(declined.stderr, "3 deliveries: retry them? [y/N] nothing was done\n");
  assertEquals((await house.run(args, { columns: 80, stdin: "" })).exitCode, 1);
  const agreed = await house.run(args, { columns: 80, stdin: "y\n" });
  assertEquals([agreed.exitCode, rowsOf(agreed.stdout).length], [0, 3]);
  await house.receiver.received(6);
});

Deno.test("retry: where nobody can be asked a filter needs --yes", async () => {
  const { house } = await aHouseWithExhausted(1);
  await using _ = house;
  const { exitCode, stdout, stderr } = await house.run(["retry", "--state", "exhausted"]);
  assertEquals([exitCode, stdout], [2, ""]);
  assertStringIncludes(stderr, "1 delivery: nobody can be asked here, so say --yes to retry it");
  assertEquals(house.receiver.requests.length, 1);
  const agreed = await house.run(["retry", "--state", "exhausted", "--yes", "--json"]);
  assertEquals([agreed.exitCode, objectsOf(agreed.stdout).length], [0, 1]);
});

Deno.test("retry, cancel: need to know which, in one way", async () => {
  await using house = await aHouse();
  for (const args of [["retry"], ["cancel"], ["retry", "dlv_1", "--state", "exhausted"]]) {
    assertEquals((await house.run(args)).exitCode, 2, args.join(" "));
  }
  assertEquals((await house.run(["cancel", "--state", "delivered"])).exitCode, 2);
  const none = await house.run(["cancel", "--subscription", "guests"]);
  assertEquals([none.exitCode, none.stderr], [0, "no delivery fits\n"]);
});

Deno.test("cancel: ends what is pending, and refuses what has ended", async () => {
  await using house = await aHouse({ subscriptions: (server) => [to(server, { enabled: false })] });
  const [first] = await house.posted({}, "pending");
  await house.posted({}, "pending");
  const cancelled = await house.run(["cancel", first!]);
  assertEquals([cancelled.exitCode, rowsOf(cancelled.stdout)[0]!.slice(0, 2)], [
    0,
    [first!, "cancelled"],
  ]);
  const again = await house.run(["cancel", first!]);
  assertEquals(again.exitCode, 1);
  assertStringIncludes(again.stderr, "is cancelled already");
  const rest = await house.run(["cancel", "--subscription", "guests", "--yes"]);
  assertEquals([rest.exitCode, rowsOf(rest.stdout).length], [0, 1]);
});

Deno.test("pause, resume: say how things stand then", async () => {
  await using house = await aHouse();
  const paused = await house.run(["pause", "guests"]);
  assertEquals([paused.exitCode, paused.stdout], [0, "guests\tpaused\t0 pending\n"]);
  await house.posted({}, "pending");
  const resumed = await house.run(["resume", "guests", "--json"]);
  assertEquals(objectsOf(resumed.stdout)[0].health.state, "healthy");
  await house.receiver.received(1);
  for (const action of ["pause", "resume"]) {
    assertEquals((await house.run([action, "nobody"])).exitCode, 3);
  }
});

Deno.test("replay: a dry run counts, and touches nothing", async () => {
  const { house } = await aHouseWithExhausted(2);
  await using _ = house;
  const dry = ["replay", "--state", "exhausted", "--since", "1h", "--dry-run"];
  assertEquals((await house.run(dry)).stdout, "2\n");
  assertEquals(objectsOf((await house.run([...dry, "--json"])).stdout), [{ count: 2 }]);
  assertEquals(house.receiver.requests.length, 2);
});

Deno.test("replay: a subscription that the config has not is told", async () => {
  await using house = await aHouse();
  const { exitCode, stdout, stderr } = await house.run(
    ["replay", "--since", "1h", "--subscription", "nope", "--dry-run"],
  );
  assertEquals([exitCode, stdout], [0, "0\n"]);
  assertStringIncludes(stderr, 'the config has no subscription "nope"');
});

Deno.test("subscriptions: each command that is given an unknown one asks what was meant", async () => {
  await using house = await aHouse();
  const [known] = objectsOf((await house.run(["status", "--json"])).stdout) as { id: string }[];
  const typo = `${known!.id}x`;
  const meant = `the config has no subscription "${typo}"; did you mean "${known!.id}"?`;
  for (
    const [exitCode, ...args] of [
      [3, "status", typo],
      [3, "pause", typo],
      [3, "test", typo],
      [0, "deliveries", "--subscription", typo],
      [0, "replay", "--since", "1h", "--subscription", typo, "--dry-run"],
      [0, "retry", "--subscription", typo],
      [0, "cancel", "--subscription", typo],
    ] as const
  ) {
    const ran = await house.run(args);
    assertEquals([ran.exitCode, ran.stderr.includes(meant)], [exitCode, true], args.join(" "));
  }
});

Deno.test("replay: asks, runs to its end, and can be looked at", async () => {
  const { house } = await aHouseWithExhausted(2);
  await using _ = house;
  const args = ["replay", "--state", "exhausted", "--since", "1h"];
  const piped = await house.run(args);
  assertEquals(piped.exitCode, 2);
  assertStringIncludes(piped.stderr, "2 deliveries: nobody can be asked here, so say --yes");
  assertEquals((await house.run(args, { columns: 80, stdin: "no\n" })).exitCode, 1);

  const { exitCode, stdout, stderr } = await house.run([...args, "--yes"]);
  assertEquals(exitCode, 0);
  const [id, state, done, total] = rowsOf(stdout)[0]!;
  assertEquals([state, done, total], ["finished", "2", "2"]);
  assertStringIncludes(stderr, `replay ${id} has begun`);
  await house.receiver.received(4);

  const shown = await house.run(["replay", id!], { columns: 80 });
  assertMatch(shown.stdout, /^rpl_\w{26} {2}finished {2}2 of 2 sent {2}/);
  assertEquals(objectsOf((await house.run(["replay", id!, "--json"])).stdout)[0].done, 2);
});

Deno.test("replay: --no-wait prints its id and leaves", async () => {
  const { house } = await aHouseWithExhausted(1);
  await using _ = house;
  const { exitCode, stdout } = await house.run(["replay", "--since", "1h", "--yes", "--no-wait"]);
  assertEquals(exitCode, 0);
  assertMatch(stdout, /^rpl_\w{26}\n$/);
});

Deno.test("replay: without --since, of what it does not know, or of nothing", async () => {
  await using house = await aHouse();
  assertEquals((await house.run(["replay"])).exitCode, 2);
  assertEquals((await house.run(["replay", "rpl_1", "--since", "1h"])).exitCode, 2);
  assertEquals((await house.run(["replay", "rpl_none"])).exitCode, 3);
  const nothing = await house.run(["replay", "--since", "1h", "--yes"]);
  assertEquals([nothing.exitCode, nothing.stderr], [0, "no delivery fits\n"]);
});

Deno.test("replay: what waits is counted, and cancelled as one job", async () => {
  await using house = await aHouse({
    replies: () => ({ status: 503 }),
    subscriptions: (server) => [to(server, { ladder: { waitsMs: [60_000] } })],
  });
  for (const id of ["one", "two"]) await house.posted({ id }, "pending");
  const counted = await house.run(["replay", "--state", "pending", "--since", "1h", "--dry-run"]);
  assertEquals(counted.stdout, "2\n");
  const { exitCode, stdout } = await house.run(["replay", "--cancel", "--since", "1h", "--yes"]);
  assertEquals(exitCode, 0);
  assertEquals(rowsOf(stdout)[0]!.slice(1, 4), ["finished", "2", "2"]);
  const left = await house.run(["deliveries", "--state", "pending"]);
  assertEquals(left.stdout, "");
});
