import { assert, assertEquals, assertMatch } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { answered, aTransport } from "../http/a_transport.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { Visitor } from "./visitor.ts";

const REFUSED: Outcome = {
  kind: "failed",
  error: { kind: "connect", message: "connection refused by 127.0.0.1:9" },
};

/** Receivers that do as the test says, by the host of their subscription. */
async function aHouse(ids: readonly string[], like: Partial<Subscription> = {}) {
  const clock = new FakeClock();
  const does = new Map<string, Outcome | Promise<Outcome>>();
  const subscriptions = ids.map((id) =>
    aSubscription({ id, url: `https://${id}.example/`, ...like })
  );
  const transport = aTransport(({ url }) =>
    does.get(new URL(url).hostname.replace(".example", "")) ?? answered(200)
  );
  const daemon = await aDaemon(aConfig({ subscriptions }), { clock, transport });
  return {
    clock,
    does,
    daemon,
    visitor: new Visitor(daemon.url),
    [Symbol.asyncDispose]: () => daemon[Symbol.asyncDispose](),
  };
}

/** Posts an event for all and waits until each has been attempted so often. */
async function post(daemon: TestDaemon) {
  const { body } = await daemon.call("POST", "/v1/events", { type: "t", data: {} });
  const ids = body.deliveries.map(({ id }: { id: string }) => id);
  await attempted(daemon, ids, 1);
  return ids;
}

async function attempted(daemon: TestDaemon, ids: readonly string[], times: number) {
  for (const id of ids) {
    await until(async () => {
      const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
      return body.state !== "pending" || body.attemptCount >= times;
    }, `${id} is attempted ${times} times`);
  }
}

Deno.test("not answering: a receiver that never answered is nowhere called healthy", async () => {
  await using house = await aHouse(["never", "well"]);
  const { daemon, does, clock, visitor } = house;
  does.set("never", REFUSED);
  const ids = await post(daemon);
  clock.advance(60_000);
  await attempted(daemon, ids, 2);

  const overview = (await visitor.open("/")).text;
  assert(!overview.includes("Nothing is wrong"));
  assertMatch(overview, /never is not answering since 1 min ago/);
  assertMatch(overview, /2 failed attempts in a row, last answer: connection refused, 1 waiting/);
  const list = (await visitor.open("/dashboard/subscriptions")).text;
  assertMatch(list, /never ✕ not answering 1 min ago .* 1 connection refused now/);
  assertMatch(list, /well ✓ healthy/);
  assert(list.indexOf("never") < list.indexOf("well"));
  const page = (await visitor.open("/dashboard/subscriptions/never")).text;
  assertMatch(page, /✕ not answering/);
  assertMatch(page, /It is not answering: 2 failed attempts in a row since 1 min ago/);
  assertMatch(page, /Last answer connection refused/);
  assert(!page.includes("never failed"));
  const deliveries = (await visitor.open("/dashboard/deliveries")).text;
  assertMatch(deliveries, /never ↻ retrying connection refused next in 5 min 2/);

  does.set("never", answered(200));
  clock.advance(5 * 60_000);
  await attempted(daemon, ids, 3);
  assert((await visitor.open("/")).text.includes("Nothing is wrong"));
  const well = (await visitor.open("/dashboard/subscriptions/never")).text;
  assertMatch(well, /✓ healthy/);
  assert(!well.includes("It never failed"));
});

Deno.test("not answering: after a success it takes three failures in a row", async () => {
  await using house = await aHouse(["silent"]);
  const { daemon, does, clock, visitor } = house;
  await post(daemon);
  does.set("silent", answered(503));
  for (const failures of [1, 2, 3]) {
    clock.advance(1_000);
    await post(daemon);
    const { text } = await visitor.open("/");
    assertEquals(text.includes("silent is not answering"), failures === 3, `${failures} failures`);
  }
  const { text } = await visitor.open("/");
  assertMatch(text, /3 failed attempts in a row, last answer: 503 Service Unavailable/);
});

Deno.test("behind: is said only of a receiver that answers well", async () => {
  const hangs = new Promise<Outcome>(() => {});
  await using house = await aHouse(["failing", "flaky", "new", "slow"], {
    concurrency: 1,
    ladder: { waitsMs: [60_000] },
  });
  const { daemon, does, clock, visitor } = house;
  does.set("new", hangs);
  does.set("failing", REFUSED);
  const { body } = await daemon.call("POST", "/v1/events", { type: "t", data: {} });
  const ids = body.deliveries.map(({ id }: { id: string }) => id);
  await attempted(daemon, [ids[0], ids[1], ids[3]], 1);
  clock.advance(60_000);
  await attempted(daemon, [ids[0]], 2);
  does.set("flaky", answered(500));
  const { body: next } = await daemon.call("POST", "/v1/events", { type: "t", data: {} });
  await attempted(daemon, [next.deliveries[1].id], 1);
  for (const id of ["failing", "flaky", "new", "slow"]) does.set(id, hangs);
  await daemon.call("POST", "/v1/events", { type: "t", data: {} });
  clock.advance(200_000);

  const { text } = await visitor.open("/");
  assertMatch(
    text,
    /slow is behind 1 delivery, the oldest due for 3 min 20 s: its receiver is slower/,
  );
  assertMatch(text, /flaky does not keep up 2 deliveries, .*?; last answer: 500 Internal Server/);
  assertMatch(text, /new does not keep up 3 deliveries, .*?; last answer: none yet/);
  assertMatch(text, /failing is failing since/);
  for (const id of ["failing", "flaky", "new"]) assert(!text.includes(`${id} is behind`), id);
  assert(!text.includes("failing does not keep up"));
});
