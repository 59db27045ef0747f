import { assert, assertEquals, assertMatch } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { answered, aTransport } from "../http/a_transport.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, stopAtOnce, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { aHouse, type House } from "./a_house.ts";
import { signedIn } from "./signed_in.ts";
import { Visitor } from "./visitor.ts";

/** The id of the newest delivery that fits. */
async function newest(house: House, query: string): Promise<string> {
  const { body } = await house.call("GET", `/v1/deliveries?limit=1&${query}`);
  return body.items[0].id;
}

Deno.test("delivery: sent again by its button, as a new one, with who did it on record", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const id = await newest(house, "state=exhausted");
  const path = `/dashboard/deliveries/${id}`;
  const after = await visitor.submit(await visitor.open(path), `${path}/retry`);
  assertMatch(after.path, /^\/dashboard\/deliveries\/dlv_\w+\?done=again$/);
  assert(!after.path.includes(id));
  assertMatch(after.text, /It was sent again; this is the new delivery/);
  assert(after.links.includes(path));
  assertMatch((await visitor.open(path)).text, /retried sent again as dlv_\w+ by ada/);
});

Deno.test("delivery: cancelled by its button, for good", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const path = `/dashboard/deliveries/${await newest(house, "subscription=pms-sync")}`;
  const after = await visitor.submit(await visitor.open(path), `${path}/cancel`);
  assertMatch(after.text, /Cancelled: cancelled by ada/);
  assertEquals(after.forms.some(({ action }) => action === `${path}/cancel`), false);
  const again = await visitor.post(`${path}/cancel`, after.forms[0]!.hidden);
  assertEquals(again.status, 409);
  assertMatch(again.text, /is cancelled already; a final state stays/);
});

Deno.test("delivery: one that is held can't be retried, and the page says what helps", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const path = `/dashboard/deliveries/${await newest(house, "subscription=pms-sync")}`;
  const page = await visitor.open(path);
  assertMatch(page.text, /Held: the subscription is paused: paused by ada/);
  const after = await visitor.submit(page, `${path}/retry`);
  assertEquals(after.status, 409);
  assertMatch(after.text, /resume it first/);
});

Deno.test("deliveries: several selected at once, and the list comes back with its filters", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const list = await visitor.open("/dashboard/deliveries?state=delivered&limit=3");
  const ids = [...list.html.matchAll(/name="id" value="(dlv_\w+)"/g)].map(([, id]) => id!);
  assertEquals(ids.length, 3);
  const after = await visitor.submit(list, "/dashboard/deliveries/retry", {
    id: [...ids.slice(0, 2), "dlv_none"],
  });
  assertEquals(
    after.path,
    "/dashboard/deliveries?state=delivered&limit=3&done=retry&count=2&refused=1",
  );
  assertMatch(after.text, /2 deliveries retried\. 1 delivery could not be/);
  const { body } = await house.call("GET", "/v1/deliveries?limit=500");
  const again = body.items.map((one: { redeliveryOf?: string }) => one.redeliveryOf);
  assertEquals(again.filter((of?: string) => of !== undefined).sort(), ids.slice(0, 2).sort());
});

Deno.test("deliveries: with nothing selected, nothing is done", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const list = await visitor.open("/dashboard/deliveries");
  const after = await visitor.submit(list, "/dashboard/deliveries/retry");
  assertMatch(after.text, /Nothing was selected/);
});

Deno.test("subscription: paused and resumed by its buttons, and both on record", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const path = "/dashboard/subscriptions/guest-app";
  const paused = await visitor.submit(await visitor.open(path), `${path}/pause`);
  assertMatch(paused.text, /Its deliveries are held: the subscription is paused: paused by ada/);
  const resumed = await visitor.submit(paused, `${path}/resume`);
  assertMatch(resumed.text, /It is resumed/);
  assertMatch(resumed.text, /What happened .* resumed resumed by ada .* paused paused by ada/);
});

Deno.test("subscription: a test event of the type that was chosen, digit for digit", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const path = "/dashboard/subscriptions/reports";
  const sent = await visitor.submit(await visitor.open(path), `${path}/test`, {
    type: "payment.received",
    data: '{ "amount": 1.10, "id": 9007199254740993 }',
  });
  assertMatch(sent.path, /^\/dashboard\/deliveries\/dlv_\w+\?done=tested$/);
  await until(() => house.received.find(({ path }) => path === "reports"), "it arrives");
  const { body } = house.received.find(({ path }) => path === "reports")!;
  assertMatch(body, /"type":"payment\.received".*"data":\{"amount":1\.10,"id":9007199254740993\}/);
  const wrong = await visitor.submit(await visitor.open(path), `${path}/test`, { data: "{" });
  assertEquals([wrong.status, /the data is no JSON/.test(wrong.text)], [422, true]);
});

Deno.test("subscription: what failed since is counted first, then sent again", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const path = "/dashboard/subscriptions/venue-crm";
  const none = await visitor.open(`${path}?failedSince=2099-01-01T00:00`);
  assertMatch(none.text, /None failed since then/);
  const counted = await visitor.open(`${path}?failedSince=2020-01-01T00:00`);
  assertMatch(counted.text, /Send 1 delivery again/);
  const after = await visitor.submit(counted, `${path}/replay`);
  assertMatch(after.text, /The failed deliveries are being sent again/);
  await until(async () => {
    const { body } = await house.call("GET", "/v1/deliveries?subscription=venue-crm&limit=1");
    return body.items[0].redeliveryOf !== undefined;
  }, "it is sent again");
});

Deno.test("config: reloaded by its button", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const words = JSON.parse(await Deno.readTextFile(house.configPath));
  words.subscriptions[0].concurrency = 3;
  await Deno.writeTextFile(house.configPath, JSON.stringify(words));
  const page = await visitor.open("/dashboard/config");
  const after = await visitor.submit(page, "/dashboard/config/reload");
  assertMatch(after.text, /The config was reloaded/);
  assertMatch(after.text, /Nothing: the file says what is in force/);
  assertMatch((await visitor.open("/")).text, /reloaded ~ guest-app: concurrency 16 → 3 by ada/);
  words.subscriptions[0].concurrency = 0;
  await Deno.writeTextFile(house.configPath, JSON.stringify(words));
  await visitor.submit(page, "/dashboard/config/reload");
  assertMatch((await visitor.open("/")).text, /The config file was rejected/);
});

Deno.test("forgery: no action is done without the word that the page brings along", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const page = await visitor.open("/dashboard/subscriptions/guest-app");
  const { csrf } = page.forms[0]!.hidden;
  const other = await (await signedIn(house)).open("/");
  const path = "/dashboard/subscriptions/guest-app/pause";
  const tries: [Record<string, string>, Record<string, string>][] = [
    [{}, {}],
    [{ csrf: "" }, {}],
    [{ csrf: `${csrf}x` }, {}],
    [{ csrf: other.forms[0]!.hidden.csrf! }, {}],
    [{ csrf: csrf! }, { origin: "https://evil.example" }],
    [{ csrf: csrf! }, { origin: "null" }],
    [{ csrf: csrf! }, { "sec-fetch-site": "cross-site" }],
    [{ csrf: csrf! }, { "sec-fetch-site": "same-site" }],
  ];
  for (const [fields, headers] of tries) {
    const answer = await visitor.post(path, fields, headers);
    assertEquals([answer.status, /nothing was done/.test(answer.text)], [403, true]);
  }
  const signedOut = await new Visitor(house.url).post(path, { csrf: csrf! });
  assertEquals(signedOut.status, 401);
  const state = async () =>
    (await house.call("GET", "/v1/subscriptions/guest-app")).body.health.state;
  assertEquals(await state(), "healthy");
  await visitor.post(path, { csrf: csrf! }, { origin: house.url });
  assertEquals(await state(), "paused");
});

Deno.test("forgery: without auth the word is asked for as well", async () => {
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  const visitor = new Visitor(daemon.url);
  assertEquals((await visitor.post("/dashboard/subscriptions/s/pause", {})).status, 403);
  const page = await visitor.open("/dashboard/subscriptions/s");
  const after = await visitor.submit(page, "/dashboard/subscriptions/s/pause");
  assertMatch(after.text, /paused by local/);
});

Deno.test("forgery: a session opens no door of the API, and a token none of the dashboard", async () => {
  const operators = [{ name: "ada", token: new Secret("an-operator-s-token") }];
  await using daemon = await aDaemon(aConfig({ auth: { publishers: [], operators } }));
  const visitor = new Visitor(daemon.url);
  const token = { token: "an-operator-s-token" };
  await visitor.submit(await visitor.open("/"), "/dashboard/sign-in", token);
  assertEquals((await visitor.open("/v1/deliveries")).status, 401);
  const bearer = { authorization: "Bearer an-operator-s-token" };
  assertEquals((await new Visitor(daemon.url).open("/", bearer)).title, "Sign in · Bellhook");
});

Deno.test("live tail: new deliveries that fit are counted, and told once a second", async () => {
  const clock = new FakeClock();
  const subscriptions = ["a", "b"].map((id) => aSubscription({ id }));
  const transport = aTransport(() => answered(200));
  const daemon = await aDaemon(aConfig({ subscriptions }), { transport, clock });
  try {
    const tail = await listen(daemon, "?subscription=a");
    const failures = await listen(daemon, "?state=exhausted");
    assertEquals(await tail.next(), { fresh: 0, most: 1000 });
    await failures.next();
    const events = Array.from({ length: 37 }, (_, n) => ({ type: "x", data: n }));
    await daemon.call("POST", "/v1/events", events);
    await until(async () => {
      const { body } = await daemon.call("GET", "/v1/deliveries?state=delivered&limit=100");
      return body.items.length === 74;
    });
    clock.advance(1_000);
    assertEquals(await tail.next(), { fresh: 37, most: 1000 });
    await daemon.call("POST", "/v1/events", { type: "x", data: 38 });
    const next = tail.next();
    await until(async () => {
      clock.advance(1_000);
      return (await Promise.race([next, Promise.resolve(undefined)])) !== undefined;
    }, "the next count");
    assertEquals(await next, { fresh: 38, most: 1000 });
    await tail.end();
    await failures.end();
  } finally {
    await stopAtOnce(daemon, clock);
  }
});

async function listen(daemon: TestDaemon, query: string) {
  const response = await fetch(`${daemon.url}/dashboard/deliveries/live${query}`);
  assertEquals(response.headers.get("content-type"), "text/event-stream");
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    async next(): Promise<{ fresh: number; most: number }> {
      for (;;) {
        const found = /^data: (.*)\n\n/m.exec(text);
        if (found) {
          text = text.slice(found.index + found[0].length);
          return JSON.parse(found[1]!);
        }
        const { value, done } = await reader.read();
        if (done) throw new Error("the stream ended");
        text += value;
      }
    },
    end: () => reader.cancel(),
  };
}

Deno.test("deliveries: all that match are cancelled as one job, after the size was said", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const list = await visitor.open("/dashboard/deliveries?state=pending&subscription=pms-sync");
  const link = list.links.find((one) => one.startsWith("/dashboard/bulk?"))!;
  const page = await visitor.open(link);
  const [, size] = /(\d+) deliver(?:y matches|ies match)/.exec(page.text)!;
  const { body } = await house.call("GET", "/v1/deliveries?state=pending&subscription=pms-sync");
  assertEquals(Number(size), body.items.length);
  assertMatch(page.text, new RegExp(`Retry all ${size} now`));
  assertMatch(page.text, new RegExp(`Cancel all ${size}`));
  const hidden = page.forms.find((form) => form.hidden.action === "cancel")!.hidden;
  const job = await visitor.post("/dashboard/bulk", hidden);
  assertMatch(job.path, /^\/dashboard\/bulk\/rpl_\w+$/);
  await until(async () => (await visitor.open(job.path)).text.includes(`All ${size} of ${size}`));
  const after = await house.call("GET", "/v1/deliveries?state=pending&subscription=pms-sync");
  assertEquals(after.body.items, []);
  // What is searched for can't be acted on as a whole.
  const searched = await visitor.open("/dashboard/deliveries?state=pending&q=bk");
  assert(!searched.links.some((one) => one.startsWith("/dashboard/bulk")));
  assertEquals((await visitor.open("/dashboard/bulk/rpl_none")).status, 404);
  assertEquals((await visitor.open("/dashboard/bulk?state=nonsense")).status, 422);
});
