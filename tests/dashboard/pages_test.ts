import { assert, assertEquals, assertMatch } from "@std/assert";
import { prettyJson } from "../../src/http/dashboard/pretty_json.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { answered, aTransport } from "../http/a_transport.ts";
import { aNewEvent } from "../outbox/building.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { aHouse, SECRETS } from "./a_house.ts";
import { signedIn } from "./signed_in.ts";
import { type Visit, Visitor } from "./visitor.ts";

/** Every page there is, found as a person finds them: by links. */
async function everyPage(visitor: Visitor): Promise<Map<string, Visit>> {
  const pages = new Map<string, Visit>();
  const kinds = new Map<string, number>();
  const waiting = ["/"];
  for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
    const [bare] = path.split("#");
    // A few of each kind: lists lead to hundreds.
    const kind = bare!.replace(/(deliveries|events|receivers|subscriptions)\/[^/?]+/, "$1/ID")
      .replace(/\?.*/, "?");
    if (pages.has(bare!) || (kinds.get(kind) ?? 0) >= 6) continue;
    kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    const page = await visitor.open(bare!);
    pages.set(bare!, page);
    waiting.push(...page.links.filter((link) => link.startsWith("/")));
  }
  return pages;
}

Deno.test("pages: each is reached by links, without script, and shows what its link said", async () => {
  await using house = await aHouse();
  const pages = await everyPage(await signedIn(house));
  const titles = [...pages.values()].map(({ title }) => title.replace(" · Bellhook", ""));
  for (
    const title of [
      "Overview",
      "Deliveries",
      "contact.created to venue-crm",
      "Subscriptions",
      "venue-crm",
      "Events",
      "Receivers",
      "Webhooks for erp",
      "Config",
    ]
  ) assert(titles.includes(title), `${title} is not among ${titles.join(", ")}`);
  for (const [path, { status }] of pages) assertEquals([path, status], [path, 200]);
});

Deno.test("pages: nothing of them runs or loads but our own script and style", async () => {
  await using house = await aHouse();
  for (const [path, { html, headers }] of await everyPage(await signedIn(house))) {
    assertMatch(headers.get("content-security-policy")!, /^default-src 'none'; script-src 'self';/);
    assertEquals(headers.get("content-security-policy")!.includes("unsafe"), false);
    assertEquals(headers.get("cache-control"), "no-store");
    if (!headers.get("content-type")!.startsWith("text/html")) continue;
    const scripts = [...html.matchAll(/<script\b[^>]*>/g)].map(([tag]) => tag);
    assertEquals(scripts.length, 1, path);
    assertMatch(scripts[0]!, /^<script src="\/dashboard\.js\?v=[0-9a-f]{12}" defer/);
    assertEquals(/<[^>]+\s(style|on\w+)=/.exec(html)?.[0], undefined, path);
    assertEquals(/\b(src|href|action|formaction)="(?![/#])/.exec(html)?.[0], undefined, path);
  }
});

Deno.test("pages: what publishers and receivers wrote is shown, and nothing more", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const { body } = await house.call("GET", "/v1/deliveries?state=exhausted&limit=1");
  const page = await visitor.open(`/dashboard/deliveries/${body.items[0].id}`);
  assert(page.html.includes("&lt;script&gt;document.title = &quot;owned&quot;&lt;/script&gt;"));
  assert(page.html.includes("&lt;/pre&gt;&lt;/code&gt;"));
  assert(page.text.includes("\\u202e"), "a mark that turns the text around is spelled out");
});

Deno.test("pages: an event's type, id and data can't get out of their places", async () => {
  const nasty = `"><script>alert(1)</script>'&amp;`;
  const transport = aTransport(() => answered(500, [["x-evil", nasty]], nasty));
  const subscriptions = [aSubscription({ id: nasty, description: nasty })];
  await using daemon = await aDaemon(aConfig({ subscriptions }), { transport });
  const event = { id: nasty, type: nasty.replaceAll(" ", ""), data: { [nasty]: nasty } };
  const { body } = await daemon.call("POST", "/v1/events", { ...event, scope: { [nasty]: nasty } });
  const { id } = body.deliveries[0];
  await until(async () => (await daemon.call("GET", `/v1/deliveries/${id}`)).body.attemptCount > 0);
  const visitor = new Visitor(daemon.url);
  const pages = await everyPage(visitor);
  assert(pages.size >= 10, [...pages.keys()].join("\n"));
  for (const [path, { status, html }] of pages) {
    assertEquals([path, status], [path, 200]);
    const tags = html.match(/(?<!\\)<script/g)?.length ?? 0;
    assertEquals(tags, path.endsWith(".md") ? 0 : 1, path);
  }
  const q = await visitor.open(
    `/dashboard/deliveries?q=${encodeURIComponent(nasty)}&state=${nasty}`,
  );
  assertEquals(q.html.match(/<script/g)!.length, 1);
});

Deno.test("pages: no secret is on any of them", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const pages = await everyPage(visitor);
  assert([...pages.values()].some(({ html }) => html.includes("[redacted]")));
  for (const [path, { html }] of pages) {
    for (const secret of Object.values(SECRETS)) {
      assert(!html.includes(secret) && !html.includes(secret.replace(/^whsec_/, "")), path);
    }
  }
});

Deno.test("pages: payloads can be hidden, everywhere at once, and shown again", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const shows = async () =>
    [...await everyPage(visitor)].filter(([path, { html }]) =>
      // The catalogue's examples are the config's, and no payloads.
      /deliveries\/|events\//.test(path) && /booking_id|owned|contact_id|6000\.00/.test(html)
    ).length;
  assert(await shows() > 0);
  const hidden = await visitor.submit(await visitor.open("/"), "/dashboard/payloads", {
    payloads: "hidden",
  });
  assertEquals(hidden.path, "/");
  assertEquals(await shows(), 0);
  await visitor.submit(hidden, "/dashboard/payloads", { payloads: "shown" });
  assert(await shows() > 0);
});

Deno.test("pages: without auth, only this machine's own name for itself opens them", async () => {
  await using daemon = await aDaemon(aConfig());
  const visitor = new Visitor(daemon.url);
  assertEquals((await visitor.open("/")).status, 200);
  // fetch sets Host itself, so the request is written by hand.
  const { hostname, port } = new URL(daemon.url);
  const connection = await Deno.connect({ hostname, port: Number(port) });
  await connection.write(
    new TextEncoder().encode("GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n"),
  );
  const answer = await new Response(connection.readable).text();
  assertMatch(answer, /^HTTP\/1\.1 403 /);
  assert(!answer.includes("csrf"));
});

Deno.test("pages: an unknown thing is said to be unknown, with the page around it", async () => {
  await using daemon = await aDaemon(aConfig());
  const visitor = new Visitor(daemon.url);
  for (const path of ["deliveries/dlv_x", "events/none", "subscriptions/none", "receivers/none"]) {
    const page = await visitor.open(`/dashboard/${path}`);
    assertEquals(page.status, 404);
    assertMatch(page.text, /there is no|has no subscription/);
    assert(page.links.includes("/"));
  }
});

Deno.test("pages: an address that leads nowhere is a page for people, and a problem for programs", async () => {
  await using daemon = await aDaemon(aConfig());
  const accept = "text/html,application/xhtml+xml";
  const page = await new Visitor(daemon.url).open("/dashboard/delivries", { accept });
  assertEquals(page.status, 404);
  assertMatch(page.text, /No such page there is nothing at \/dashboard\/delivries/);
  assert(page.links.includes("/"));
  const { status, body } = await daemon.call("GET", "/dashboard/delivries");
  assertEquals([status, body.title], [404, "Not Found"]);
});

Deno.test("overview: where nothing was delivered yet, it says how to send a test", async () => {
  const subscriptions = [aSubscription({ id: "crm" })];
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  const page = await new Visitor(daemon.url).open("/");
  assertMatch(page.text, /Nothing has been delivered yet. Send a test event: bellhook test crm/);
});

Deno.test("overview: the legend draws one kind alone, and all again", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const drawn = (html: string) =>
    new Set([...html.matchAll(/<rect class="is-(\w+)"/g)].map(([, kind]) => kind));
  const all = await visitor.open("/?span=week");
  assertEquals(drawn(all.html), new Set(["delivered", "retrying", "failed"]));
  const alone = all.links.find((link) => link.includes("show=failed"))!;
  assertEquals(alone, "/?span=week&show=failed#chart");
  const failed = await visitor.open(alone.replace("#chart", ""));
  assertEquals(drawn(failed.html), new Set(["failed"]));
  assert(failed.links.includes("/?span=week#chart"));
});

Deno.test("subscriptions: presets show those that need attention, and count the others", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const page = await visitor.open("/dashboard/subscriptions?state=attention");
  const shown = [...page.html.matchAll(/data-href="\/dashboard\/subscriptions\/([^"]*)"/g)]
    .map(([, id]) => id);
  assertEquals(shown, ["venue-crm"]);
  assertMatch(page.text, /All 6 Need attention 1 Held 2 Healthy 3/);
});

Deno.test("pages: empty ones say what to do next", async () => {
  await using daemon = await aDaemon(aConfig());
  const visitor = new Visitor(daemon.url);
  const commands = ["/", "/dashboard/deliveries", "/dashboard/subscriptions", "/dashboard/events"]
    .map(async (path) => [path, /bellhook (\w+)/.exec((await visitor.open(path)).text)?.[1]]);
  assertEquals(await Promise.all(commands), [
    ["/", "init"],
    ["/dashboard/deliveries", "send"],
    ["/dashboard/subscriptions", "init"],
    ["/dashboard/events", "send"],
  ]);
});

Deno.test("overview: what is wrong comes first, with its reason and the way to it", async () => {
  await using house = await aHouse();
  const page = await (await signedIn(house)).open("/");
  const { text } = page;
  const wrong = text.slice(text.indexOf("Needs attention"), text.indexOf("Deliveries over time"));
  assertMatch(wrong, /venue-crm is failing since/);
  assertMatch(wrong, /500: the receiver's code failed/);
  assertMatch(wrong, /pms-sync is paused paused by ada; 1 delivery held until it is resumed/);
  assertMatch(wrong, /1 delivery failed for good in the last day/);
  const places = ["need attention", "Needs attention", '<svg class="bars"', "Recent actions"]
    .map((part) => page.html.indexOf(part));
  assertEquals(places, places.toSorted((a, b) => a - b), "numbers, what is wrong, then the lists");
  assertMatch(text, /1 of \d receivers need attention/);
  assertMatch(text, /\d+(\.\d)? % delivered on the first try, last 24 h/);
});

Deno.test("overview: with nothing wrong it says so", async () => {
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  const page = await new Visitor(daemon.url).open("/");
  assert(page.text.includes("Nothing is wrong right now"));
});

Deno.test("overview: a pattern that matched nothing in 30 days is named", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/outbox.db`;
  const outbox = await openSqliteOutbox(path);
  const now = Date.now();
  for (const daysAgo of [31, 1]) {
    await outbox.enqueue({ events: [aNewEvent()], at: now - daysAgo * 86_400_000 });
  }
  await outbox.close();
  const subscriptions = [aSubscription({ id: "s", events: [compilePattern("boking.created")] })];
  const config = aConfig({ subscriptions });
  await using daemon = await aDaemon({ ...config, storage: { ...config.storage, path } }, {
    clock: new FakeClock(now),
  });
  const page = await new Visitor(daemon.url).open("/");
  assertMatch(page.text, /the pattern "boking\.created" of "s" matched no event in 30 days/);
  assertMatch(page.text, /did you mean "booking\.created"/);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("overview: charts and tables tell the same numbers", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  for (const span of ["hour", "day", "week", "month"]) {
    const { html } = await visitor.open(`/?span=${span}`);
    const card = /<section class="chart".*?<\/section>/s.exec(html)![0];
    const [, delivered] = /aria-label="[^"]*: ([\d,]+) delivered/.exec(card)!;
    const rows = [...card.matchAll(/data-label="Delivered"[^>]*><div>([\d,]+)</g)];
    const sum = rows.reduce((total, [, n]) => total + Number(n!.replaceAll(",", "")), 0);
    assertEquals(sum, Number(delivered!.replaceAll(",", "")), span);
  }
});

Deno.test("deliveries: the address holds the filters, and the list fits them", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const subscriptionsOf = async (query: string) => {
    const page = await visitor.open(`/dashboard/deliveries?${query}`);
    return [...page.html.matchAll(/data-label="Subscription"[^>]*><div><a [^>]*>([^<]*)</g)]
      .map(([, id]) => id!);
  };
  assertEquals(new Set(await subscriptionsOf("subscription=erp")), new Set(["erp"]));
  assertEquals(new Set(await subscriptionsOf("state=exhausted")), new Set(["venue-crm"]));
  assertEquals(new Set(await subscriptionsOf("status=503&state=pending")), new Set(["erp"]));
  assertEquals((await subscriptionsOf("q=cot")).sort(), ["erp", "guest-app"]);
  assertEquals(await subscriptionsOf("type=none"), []);
  assertEquals(await subscriptionsOf("until=2020-01-01T00:00"), []);
  const page = await visitor.open("/dashboard/deliveries?state=nonsense&status=7");
  assertMatch(page.text, /state: .*status: /);
});

Deno.test("deliveries: pages follow one another and miss nothing", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const ids = (html: string) => [...html.matchAll(/data-id="(dlv_\w+)"/g)].map(([, id]) => id!);
  const all = ids((await visitor.open("/dashboard/deliveries?limit=500")).html);
  const paged: string[] = [];
  for (let path: string | undefined = "/dashboard/deliveries?limit=7"; path !== undefined;) {
    const page = await visitor.open(path);
    paged.push(...ids(page.html));
    path = /<nav class="pager".*?<a href="([^"]*)">Older/s.exec(page.html)?.[1]
      ?.replaceAll("&amp;", "&");
  }
  assertEquals(paged, all);
});

Deno.test("delivery: the diagnosis, the attempts, the next ones, and the way to send it again", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const { body } = await house.call("GET", "/v1/deliveries?state=pending&subscription=erp&limit=1");
  const page = await visitor.open(`/dashboard/deliveries/${body.items[0].id}`);
  assertMatch(page.text, /To be tried again: attempt 2 is due/);
  assertMatch(page.text, /Diagnosis: answered 503: the receiver's server is down or overloaded/);
  assertMatch(page.text, /Attempt 1 503 · .* Attempt 2 next .* Attempt 6 not before/);
  assertMatch(page.text, /"error": "maintenance"/);
  assertMatch(page.text, /curl --request POST --globoff http:\/\/127\.0\.0\.1/);
});

Deno.test("delivery: a body that was cut is said to be", async () => {
  const transport = aTransport(() => ({
    kind: "answered",
    status: 500,
    headers: [],
    body: new Uint8Array(65_536).fill(0x2e),
    truncated: true,
  }));
  const subscriptions = [aSubscription({ id: "s" })];
  await using daemon = await aDaemon(aConfig({ subscriptions }), { transport });
  const { body } = await daemon.call("POST", "/v1/subscriptions/s/test", {});
  const visitor = new Visitor(daemon.url);
  const page = await until(async () => {
    const shown = await visitor.open(`/dashboard/deliveries/${body.delivery}`);
    return shown.text.includes("Response") ? shown : undefined;
  });
  assertMatch(page.text, /64\.0 KiB kept; there was more, which is not on record/);
});

Deno.test("event: whom it went to, and for each other why not", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const { body } = await house.call("GET", "/v1/events?type=payment.received&limit=1");
  const { text } = await visitor.open(`/dashboard/events/${body.items[0].id}`);
  assertMatch(text, /Who got it .*guest-app .*delivered/);
  assertMatch(text, /erp events "payment.received" fits none of "booking.\*"/);
  assertMatch(text, /reports match data.total is missing/);
});

Deno.test("subscription: a failing one says what is wrong, and leads to the delivery", async () => {
  await using house = await aHouse();
  const page = await (await signedIn(house)).open("/dashboard/subscriptions/venue-crm");
  assertMatch(page.text, /It is failing: 500: the receiver's code failed/);
  const { body } = await house.call("GET", "/v1/deliveries?state=exhausted&limit=1");
  assert(page.links.includes(`/dashboard/deliveries/${body.items[0].id}`));
});

Deno.test("subscription: each setting says where it comes from", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const lines = (await Deno.readTextFile(house.configPath)).split("\n");
  const id = "guest-app", idAt = lines.findIndex((line) => line.includes(`"id": "${id}"`));
  const url = 1 + lines.findIndex((line, index) => index > idAt && line.includes('"url"'));
  const { text } = await visitor.open(`/dashboard/subscriptions/${id}`);
  assertMatch(text, new RegExp(`url\\s+http\\S+\\s+config\\.json:${url}\\b`));
  assertMatch(text, /jitter\s+0\.1\s+default/);
  assertMatch(text, /timeout\s+\w+\s+profile \w+/);
  assertMatch(text, /secret\s+\[redacted\]\s+config\.json:\d+/);
  await Deno.remove(house.configPath);
  const without = (await visitor.open(`/dashboard/subscriptions/${id}`)).text;
  assertMatch(without, /jitter\s+0\.1\s/);
  assertEquals(/config\.json:\d/.test(without), false);
});

Deno.test("history: who did what, of all or of one subscription", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const all = (await visitor.open("/dashboard/history")).text;
  assertMatch(all, /tested guest-app : a test event was sent by ada/);
  assertMatch(all, /paused pms-sync : paused by ada/);
  const one = (await visitor.open("/dashboard/history?subscription=pms-sync")).text;
  assertMatch(one, /paused pms-sync : paused by ada/);
  assert(!one.includes("a test event"));
  const none = (await visitor.open("/dashboard/history?subscription=nobody")).text;
  assertMatch(none, /Nothing of a subscription that is called so/);
});

Deno.test("subscription: one that is gone from the config still shows what waits for it", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const storage = { ...aConfig().storage, path: `${folder}/bellhook.db` };
    const transport = aTransport(() => answered(500));
    const both = aConfig({ storage, subscriptions: [aSubscription({ id: "s" })] });
    {
      await using daemon = await aDaemon(both, { transport });
      await daemon.call("POST", "/v1/events", { type: "x", data: 1 });
    }
    await using daemon = await aDaemon({ ...both, subscriptions: [] }, { transport });
    const visitor = new Visitor(daemon.url);
    assertMatch((await visitor.open("/")).text, /s is no longer in the config 1 delivery held/);
    const page = await visitor.open("/dashboard/subscriptions/s");
    assertMatch(page.text, /removed .*the subscription is no longer in the config/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("subscriptions: what fails comes first, and a word finds one", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const ids = async (path: string) =>
    [...(await visitor.open(path)).html.matchAll(
      /data-href="\/dashboard\/subscriptions\/([^"]*)"/g,
    )]
      .map(([, id]) => id);
  assertEquals(await ids("/dashboard/subscriptions"), [
    ...["venue-crm", "pms-sync", "erp", "guest-app", "scheduler", "reports"],
  ]);
  assertEquals(await ids("/dashboard/subscriptions?q=PHONES"), ["guest-app"]);
});

Deno.test("subscriptions: thousands come page by page", async () => {
  const subscriptions = Array.from(
    { length: 120 },
    (_, index) => aSubscription({ id: `s${index}`, events: [compilePattern("none")] }),
  );
  await using daemon = await aDaemon(aConfig({ subscriptions }));
  const visitor = new Visitor(daemon.url);
  const rows = async (path: string) =>
    (await visitor.open(path)).html.match(/data-href="\/dashboard\/subscriptions/g)!.length;
  assertEquals(await rows("/"), 20);
  assertEquals(await rows("/dashboard/subscriptions"), 50);
  assertEquals(await rows("/dashboard/subscriptions?from=100"), 20);
});

Deno.test("config: what is in force, and what a reload would change", async () => {
  await using house = await aHouse();
  const visitor = await signedIn(house);
  const open = () => visitor.open("/dashboard/config");
  assertMatch((await open()).text, /Nothing: the file says what is in force/);
  const words = JSON.parse(await Deno.readTextFile(house.configPath));
  words.subscriptions[0].concurrency = 3;
  await Deno.writeTextFile(house.configPath, JSON.stringify(words));
  assertMatch((await open()).text, /~ guest-app: concurrency 16 → 3/);
  words.subscriptions[0].profile = "nonsense";
  await Deno.writeTextFile(house.configPath, JSON.stringify(words));
  assertMatch((await open()).text, /problems.*subscriptions\[0\]\.profile/);
  const again = await visitor.open("/");
  assert(!again.text.includes("config file was rejected"), "a look at it is no reload");
});

Deno.test("script and style: they come with their types, and may be kept", async () => {
  await using daemon = await aDaemon(aConfig({ auth: { publishers: [], operators: [] } }));
  const visitor = new Visitor(daemon.url);
  const page = await visitor.open("/dashboard/sign-in");
  const types = [];
  for (const [, path] of page.html.matchAll(/(?:href|src)="(\/dashboard[./][^"]*)"/g)) {
    const response = await visitor.ask(path!);
    types.push(response.headers.get("content-type"));
    assertMatch(response.headers.get("cache-control")!, /immutable/);
    assert((await response.text()).length > 100);
  }
  assertEquals(types, [
    "image/svg+xml",
    "text/css; charset=utf-8",
    "text/javascript; charset=utf-8",
  ]);
});

Deno.test("deliveries: a cursor that no list handed out is refused in words", async () => {
  await using daemon = await aDaemon(aConfig());
  const visitor = new Visitor(daemon.url);
  const page = await visitor.open("/dashboard/deliveries?cursor=nonsense");
  assertEquals(page.status, 422);
  assertMatch(page.text, /no list hands out such a one/);
});

Deno.test("prettyJson(): what its lines would make many times as long stays as it came", () => {
  const deep = (values: number) => `${"[".repeat(99)}${"0,".repeat(values)}0${"]".repeat(99)}`;
  assert(prettyJson(deep(100))!.includes("\n"));
  assertEquals(prettyJson(deep(32_000)), undefined);
});
