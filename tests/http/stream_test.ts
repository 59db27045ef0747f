import { assert, assertEquals } from "@std/assert";
import type { Loaded } from "../../src/config/load.ts";
import { Secret } from "../../src/domain/secret.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startRawServer } from "../support/raw_server.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };

interface ServerSentEvent {
  readonly id: string;
  readonly event: string;
  // deno-lint-ignore no-explicit-any
  readonly data: any;
}

/** A client of the stream that reads one event at a time. */
async function streamOf(daemon: TestDaemon, lastEventId?: string) {
  const response = await fetch(`${daemon.url}/v1/stream`, {
    headers: lastEventId === undefined ? {} : { "last-event-id": lastEventId },
  });
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let unread = "";
  return {
    /** The id at the start of the stream, before any event; undefined if there is none. */
    async firstId(): Promise<string | undefined> {
      while (!unread.includes("\n\n")) unread += (await reader.read()).value ?? "";
      const [fields = ""] = unread.split("\n\n");
      assert(!/^(event|data):/m.test(fields), fields);
      return /^id: (.+)$/m.exec(fields)?.[1];
    },
    /** The next event; undefined at the end of the stream. */
    async next(): Promise<ServerSentEvent | undefined> {
      for (;;) {
        const end = unread.indexOf("\n\n");
        if (end >= 0) {
          const fields = Object.fromEntries(
            unread.slice(0, end).split("\n").map((line) => line.split(/: (.*)/s).slice(0, 2)),
          );
          unread = unread.slice(end + 2);
          if (fields.data !== undefined) {
            return { id: fields.id, event: fields.event, data: JSON.parse(fields.data) };
          }
          continue;
        }
        const { done, value } = await reader.read();
        if (done) return undefined;
        unread += value;
      }
    },
    leave: () => reader.cancel(),
  };
}

function withReceiver(url: string) {
  const subscription = aSubscription({ url, allowHttp: true, allowNetworks: ["127.0.0.0/8"] });
  return aConfig({ subscriptions: [subscription] });
}

Deno.test("GET /v1/stream: reports a delivery when it is created and when it ends", async () => {
  await using receiver = startRawServer();
  await using daemon = await aDaemon(withReceiver(receiver.url));
  const stream = await streamOf(daemon);
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  const created = await stream.next();
  const ended = await stream.next();
  assertEquals([created!.event, created!.data.state], ["delivery", "pending"]);
  assertEquals([ended!.data.id, ended!.data.state], [body.deliveries[0].id, "delivered"]);
  assertEquals([ended!.data.attemptCount, ended!.data.type], [1, "booking.created"]);
  await stream.leave();
});

Deno.test("GET /v1/stream: a client that reconnects with Last-Event-ID gets what it missed", async () => {
  await using receiver = startRawServer();
  await using daemon = await aDaemon(withReceiver(receiver.url));
  const first = await streamOf(daemon);
  await daemon.call("POST", "/v1/events", EVENT);
  const seen = await first.next();
  await first.leave();
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  const again = await streamOf(daemon, seen!.id);
  const numbers: number[] = [];
  let lastId: string | undefined;
  while (lastId !== body.deliveries[0].id) {
    const missed = await again.next();
    lastId = missed!.data.id;
    assertEquals(missed!.event, "delivery");
    numbers.push(Number(missed!.id.split("-")[1]));
  }
  assertEquals(numbers[0], Number(seen!.id.split("-")[1]) + 1);
  await again.leave();
});

Deno.test("GET /v1/stream: a client that has seen no event yet misses nothing by reconnecting", async () => {
  await using receiver = startRawServer();
  await using daemon = await aDaemon(withReceiver(receiver.url));
  const first = await streamOf(daemon);
  const firstId = await first.firstId();
  await first.leave();
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  const again = await streamOf(daemon, firstId);
  // With an id after the missed changes, they would be skipped.
  assertEquals(await again.firstId(), undefined);
  const missed = await again.next();
  assertEquals([missed!.event, missed!.data.id], ["delivery", body.deliveries[0].id]);
  assertEquals(missed!.data.state, "pending");
  await again.leave();
});

Deno.test("GET /v1/stream: changes that are no longer known are a gap", async () => {
  await using daemon = await aDaemon(aConfig());
  for (const id of ["another-1", "garbage", "run-x"]) {
    const stream = await streamOf(daemon, id);
    assertEquals((await stream.next())!.event, "gap");
    await stream.leave();
  }
});

Deno.test("GET /v1/stream: reports that a subscription is paused and resumed", async () => {
  await using receiver = startRawServer();
  const subscriptions = [
    aSubscription({
      id: "app",
      url: receiver.url,
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
    }),
  ];
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  const stream = await streamOf(daemon);
  await daemon.call("POST", "/v1/subscriptions/app/pause");
  const paused = await stream.next();
  assertEquals([paused!.event, paused!.data.id], ["subscription", "app"]);
  assertEquals([paused!.data.health.state, paused!.data.health.reason], [
    "paused",
    "paused by local",
  ]);
  assertEquals(paused!.data.health.pending, 0);
  await daemon.call("POST", "/v1/events", { type: "booking.created", data: 1 });
  assertEquals((await stream.next())!.event, "delivery");
  await daemon.call("POST", "/v1/subscriptions/app/resume");
  const { health } = (await stream.next())!.data;
  assertEquals([health.state, health.pending], ["healthy", 1]);
  await stream.leave();
});

Deno.test("GET /v1/stream: reports that a reload disables and enables a subscription", async () => {
  const configOf = (enabled: boolean) =>
    aConfig({ subscriptions: [aSubscription({ id: "app", enabled })] });
  let enabled = true;
  const reload = () =>
    Promise.resolve<Loaded>({ ok: true, config: configOf(enabled), warnings: [] });
  await using daemon = await aDaemon(configOf(true), { reload });
  const stream = await streamOf(daemon);
  for (const [isEnabled, state] of [[false, "disabled"], [true, "healthy"]] as const) {
    enabled = isEnabled;
    await daemon.call("POST", "/-/reload");
    const told = await stream.next();
    assertEquals([told!.event, told!.data.id, told!.data.health.state], [
      "subscription",
      "app",
      state,
    ]);
    const { health } = (await daemon.call("GET", "/v1/subscriptions/app")).body;
    assertEquals(told!.data.health.since, health.since);
  }
  await stream.leave();
});

Deno.test("GET /v1/stream: ends for an operator who was removed", async () => {
  const tokenOf = (name: string) => `the-token-of-${name}`;
  const configOf = (...names: string[]) => {
    const operators = names.map((name) => ({ name, token: new Secret(tokenOf(name)) }));
    return aConfig({ auth: { publishers: [], operators } });
  };
  const ask = (name: string, path: string, method = "GET") =>
    fetch(`${daemon.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${tokenOf(name)}` },
    });
  let config = configOf("ann", "bob");
  const reload = () => Promise.resolve<Loaded>({ ok: true, config, warnings: [] });
  await using daemon = await aDaemon(config, { reload });
  const stream = await ask("ann", "/v1/stream");
  assertEquals(stream.status, 200);
  config = configOf("bob");
  await (await ask("bob", "/-/reload", "POST")).body?.cancel();
  // Read to the end, which has come.
  assert((await stream.text()).includes("retry: "));
});

Deno.test("GET /v1/stream: sends pings, and ends when the daemon stops", async () => {
  const clock = new FakeClock();
  const daemon = await aDaemon(aConfig(), { clock });
  const response = await fetch(`${daemon.url}/v1/stream`);
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = (await reader.read()).value ?? "";
  clock.advance(5_000);
  text += (await reader.read()).value ?? "";
  assert(text.includes(": ping\n\n"), text);
  await daemon.stop();
  assertEquals((await reader.read()).done, true);
});
