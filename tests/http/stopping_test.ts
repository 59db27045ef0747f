import { assertEquals, assertStringIncludes } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import { Visitor } from "../dashboard/visitor.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { until } from "../support/until.ts";
import { answered, aTransport } from "./a_transport.ts";
import { aConformingDaemon } from "./conforming.ts";

/** The answers of a stopping daemon, which here waits for an attempt. */

const SINCE = "2001-01-01T00:00:00Z";

Deno.test("a stopping daemon stores no deliveries, by any call, and says when to try again", async () => {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let sent = 0;
  const transport = aTransport(() => sent++ === 0 ? answered(200) : promise);
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { transport });
  const event = { type: "t", data: 1 };
  const { body: first } = await daemon.call("POST", "/v1/events", event);
  const finished = `/v1/deliveries/${first.deliveries[0].id}`;
  await until(
    async () => (await daemon.call("GET", finished)).body.state === "delivered",
    "the first is delivered",
  );
  await daemon.call("POST", "/v1/events", event);
  await until(() => sent === 2, "an attempt is under way");
  const visitor = new Visitor(daemon.url);
  const page = await visitor.open("/dashboard/subscriptions/s");

  const stopped = daemon.stop();
  const calls: [path: string, body?: unknown][] = [
    ["/v1/events", event],
    ["/v1/subscriptions/s/test"],
    ["/v1/subscriptions/s/test", { type: "t", data: 1 }],
    ["/v1/replays", { since: SINCE }],
    [`${finished}/retry`],
  ];
  for (const [path, body] of calls) {
    const { status, headers, body: told } = await daemon.call("POST", path, body);
    assertEquals([path, status, headers.get("retry-after")], [path, 503, "5"]);
    assertEquals(told.detail, "nothing was stored: the daemon is stopping");
  }
  const visit = await visitor.submit(page, "/dashboard/subscriptions/s/test");
  assertEquals(visit.status, 503);
  assertStringIncludes(visit.text, "nothing was stored: the daemon is stopping");
  // Calls that store nothing work as usual.
  const dryRun = await daemon.call("POST", "/v1/replays", { since: SINCE, dryRun: true });
  assertEquals([dryRun.status, dryRun.body], [200, { count: 1 }]);
  assertEquals((await daemon.call("POST", "/v1/match", event)).status, 200);
  assertEquals((await daemon.call("GET", "/v1/events")).body.items.length, 2);
  assertEquals((await daemon.call("GET", "/v1/deliveries")).body.items.length, 2);
  resolve(answered(200));
  await stopped;
});

Deno.test("a stopping daemon ends a stream that is opened while it stops", async () => {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  let sent = 0;
  const transport = aTransport(() => {
    sent++;
    return promise;
  });
  await using daemon = await aConformingDaemon(
    aConfig({ subscriptions: [aSubscription({ id: "s" })] }),
    { transport },
  );
  await daemon.call("POST", "/v1/events", { type: "t", data: 1 });
  await until(() => sent === 1, "an attempt is under way");
  const stopped = daemon.stop();
  const stream = await fetch(`${daemon.url}/v1/stream`);
  assertStringIncludes(await stream.text(), "retry: ");
  resolve(answered(200));
  await stopped;
});
