import { assert, assertEquals, assertMatch } from "@std/assert";
import { Webhook } from "standardwebhooks";
import type { NoticeChannel } from "../../src/domain/notice.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { A_SECRET, aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startMailServer } from "../support/mail_server.ts";
import { type RawServer, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

const EVENT = { type: "booking.created", data: { id: "bk_1" } };
/** The real time, because the Standard Webhooks package uses the real clock. */
const now = () => new FakeClock(Date.now());

function anOwned(receiver: RawServer, overrides: Partial<Subscription>): Subscription {
  return aSubscription({
    id: "guest-app",
    url: `${receiver.url}in/path-token?token=hush-hush`,
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
    ladder: { waitsMs: [] },
    ...overrides,
  });
}

async function publish(daemon: TestDaemon): Promise<void> {
  const { body } = await daemon.call("POST", "/v1/events", EVENT);
  for (const { id } of body.deliveries) {
    await until(async () =>
      (await daemon.call("GET", `/v1/deliveries/${id}`)).body.attemptCount === 1
    );
  }
}

Deno.test("contacts: a URL gets only failing and recovered notices, signed like events", async () => {
  let status = 500;
  await using receiver = startRawServer(() => ({ status, body: "password: hunter2" }));
  await using customer = startRawServer();
  const owned = anOwned(receiver, { contact: [`${customer.url}status`] });
  await using other = startRawServer({ status: 500 });
  const others = anOwned(other, { id: "other-customer", contact: [`${other.url}status`] });
  const config = aConfig({ subscriptions: [owned, others] });
  await using daemon = await aDaemon(config, { clock: now() });
  await publish(daemon);
  await customer.received(1);
  status = 200;
  await publish(daemon);
  await customer.received(2);

  const told = customer.requests.map((request) => {
    const headers = Object.fromEntries(request.headers);
    // deno-lint-ignore no-explicit-any
    return new Webhook(A_SECRET.reveal().slice(6)).verify(request.text(), headers as any) as any;
  });
  assertEquals(told.map(({ type }) => type), ["subscription.failing", "subscription.recovered"]);
  const { port } = new URL(receiver.url);
  assertEquals(told[0].data, {
    kind: "subscription.failing",
    summary: `webhooks to http://127.0.0.1:${port} are failing: the receiver answered 500`,
    subscription: "guest-app",
    receiver: `http://127.0.0.1:${port}`,
    since: told[0].data.since,
    reason: "the receiver answered 500",
    next: told[0].data.next,
  });
  const all = customer.requests.map((request) => request.head + request.text()).join();
  for (const word of ["hush", "path-token", "hunter2", "other", "bellhook status"]) {
    assert(!all.includes(word), word);
  }
});

Deno.test("contacts: mail is sent through the first mail channel, only to the owner", async () => {
  await using receiver = startRawServer({ status: 410 });
  await using mail = await startMailServer();
  const channel: NoticeChannel = {
    kind: "email",
    smtp: `smtp://localhost:${mail.port}`,
    from: "bellhook@example.com",
    to: ["ops@example.com"],
    on: ["config.rejected"],
  };
  const owned = anOwned(receiver, { contact: ["anna@customer.example", "ben@customer.example"] });
  const config = aConfig({ notify: [channel], subscriptions: [owned] });
  await using daemon = await aDaemon(config, { clock: now() });
  await publish(daemon);
  await until(() => mail.mails.length === 2);
  assertEquals(mail.mails.map(({ to }) => to.join()).sort(), [
    "anna@customer.example",
    "ben@customer.example",
  ]);
  const text = mail.mails[0]!.text;
  assertMatch(text, /Subject: \[bellhook\] webhooks to http:\/\/127\.0\.0\.1:\d+ are paused/);
  assert(!text.includes("try:") && !text.includes("hush") && !text.includes("ops@example.com"));
});

Deno.test("contacts: the notice about an operator's pause doesn't contain the operator's name", async () => {
  await using receiver = startRawServer();
  await using customer = startRawServer();
  const owned = anOwned(receiver, { contact: [customer.url] });
  await using daemon = await aDaemon(aConfig({ subscriptions: [owned] }), { clock: now() });
  await daemon.call("POST", "/v1/subscriptions/guest-app/pause");
  await customer.received(1);
  const { data } = JSON.parse(customer.requests[0]!.text());
  assertEquals([data.kind, data.reason], ["subscription.paused", "the sender paused them"]);
  assert(!customer.requests[0]!.text().includes("local"));
});

Deno.test("contacts: a failing contact, or one that is the receiver itself, causes no more notices", async () => {
  const clock = now();
  await using receiver = startRawServer({ status: 500 });
  await using operator = startRawServer();
  const owned = anOwned(receiver, { contact: [`${receiver.url}status`] });
  const on = ["subscription.failing", "subscription.paused", "delivery.exhausted"] as const;
  const notify: NoticeChannel[] = [{
    kind: "webhook",
    url: operator.url,
    secret: A_SECRET,
    on,
    allowNetworks: ["127.0.0.0/8"],
  }];
  await using daemon = await aDaemon(aConfig({ notify, subscriptions: [owned] }), { clock });
  await publish(daemon);
  await operator.received(1);
  await receiver.received(2);
  // The contact's own deliveries are exhausted.
  for (let round = 0; round < 8; round++) {
    clock.advance(26 * 3_600_000);
    await until(async () => {
      const { body } = await daemon.call("GET", "/v1/deliveries?type=subscription.failing");
      // deno-lint-ignore no-explicit-any
      return body.items.every((one: any) => one.state !== "pending" || one.attemptCount > round);
    });
  }
  const { body } = await daemon.call("GET", "/v1/events?limit=500");
  assertEquals(
    body.items.map(({ type }: { type: string }) => type).sort(),
    ["booking.created", "delivery.exhausted", "subscription.failing", "subscription.failing"],
  );
  const { body: { items } } = await daemon.call("GET", "/v1/deliveries?type=delivery.exhausted");
  assertEquals(items.length, 1);
});
