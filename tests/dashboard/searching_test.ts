import { assert, assertMatch } from "@std/assert";
import { CHROMIUM } from "../support/chromium.ts";
import { aLongSearch } from "./a_long_search.ts";
import { Visitor } from "./visitor.ts";

Deno.test("search: every page has the box, and it keeps what was asked for", async () => {
  await using daemon = await aLongSearch(100);
  const visitor = new Visitor(daemon.url);
  for (const path of ["/", "/dashboard/events", "/dashboard/receivers", "/dashboard/config"]) {
    const { html } = await visitor.open(path);
    assertMatch(html, /<form class="search" method="get" action="\/dashboard\/deliveries"/, path);
  }
  const { html } = await visitor.open("/dashboard/deliveries?q=%22a%3Cb%22");
  const box = /<form class="search".*?<\/form>/s.exec(html)![0];
  assertMatch(box, /value="&quot;a&lt;b&quot;"/);
});

Deno.test("search: without script a link goes on, a long stretch at a time", async () => {
  await using daemon = await aLongSearch();
  const visitor = new Visitor(daemon.url);
  const first = await visitor.open("/dashboard/deliveries?q=needle&state=pending");
  assertMatch(first.text, /Nothing found yet; the search goes on below/);
  assertMatch(first.text, /Searched [\d,]+ of 60\d deliveries, back to 2024-03-15 12:00/);
  assert(!first.html.includes("data-live="), "a search does not follow what comes");
  const older = first.links.find((link) => link.includes("stretch=long"))!;
  assertMatch(older, /q=needle/);
  assertMatch(older, /state=pending/);
  const second = await visitor.open(older);
  assertMatch(second.text, /bk_77-created/);
  assert(!second.links.some((link) => link.includes("stretch=long")), "it is at the end");
});

Deno.test("search: an id is found at once, a page names what it names, and events are searched too", async () => {
  await using daemon = await aLongSearch();
  const visitor = new Visitor(daemon.url);
  const byId = await visitor.open("/dashboard/deliveries?q=bk_77");
  assertMatch(byId.text, /bk_77-created/);
  const exact = await visitor.open("/dashboard/deliveries?q=alone");
  assertMatch(exact.text, /Event alone ?, booking\.created, accepted/);
  const named = await visitor.open("/dashboard/deliveries?q=PM");
  assert(named.links.includes("/dashboard/subscriptions/pms"));
  assert(named.links.includes("/dashboard/events?q=PM"));
  let events = await visitor.open("/dashboard/events?q=lost+needle");
  assertMatch(events.text, /Searched [\d,]+ of 60\d events/);
  events = await visitor.open(events.links.find((link) => link.includes("stretch=long"))!);
  assertMatch(events.text, /alone/);
});

Deno.test("search: hidden payloads are not searched, and the page says so", async () => {
  await using daemon = await aLongSearch(100);
  const visitor = new Visitor(daemon.url);
  const path = "/dashboard/deliveries?q=needle&stretch=long";
  assertMatch((await visitor.open(path)).text, /bk_77-created/);
  await visitor.submit(await visitor.open("/"), "/dashboard/payloads", { payloads: "hidden" });
  const hidden = await visitor.open(path);
  assertMatch(hidden.text, /No delivery fits/);
  assertMatch(hidden.text, /Payloads are hidden, so their text is not searched/);
  assertMatch((await visitor.open("/dashboard/deliveries?q=bk_77")).text, /bk_77-created/);
  const events = await visitor.open("/dashboard/events?q=needle&stretch=long");
  assertMatch(events.text, /No event fits/);
});

Deno.test("search: what is too long is told on the page", async () => {
  await using daemon = await aLongSearch(100);
  const page = await new Visitor(daemon.url).open(`/dashboard/deliveries?q=${"x".repeat(201)}`);
  assertMatch(page.text, /q: must be 200 characters or less/);
});

Deno.test("search: below a base path all of it leads below it", async () => {
  await using daemon = await aLongSearch(600, { basePath: "/hooks" });
  const visitor = new Visitor(daemon.url);
  const first = await visitor.open("/hooks/dashboard/deliveries?q=needle");
  assert(first.links.some((link) => link.includes("stretch=long")));
  assert(!/(href|action|data-[\w-]+)="\/dashboard/.test(first.html), "nothing leads past it");
});

/** As in browser_test.ts: what drives the browser asks for more than tests may. */
Deno.test({
  name: "search: walks on by itself in a real Chromium" +
    (CHROMIUM ? "" : " (left out: the machine has none)"),
  ignore: !CHROMIUM,
  async fn() {
    const stories = new URL("./searching_stories.ts", import.meta.url).pathname;
    const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["test", "--quiet", "--no-check", "--allow-all", stories],
      env: { NO_COLOR: "1" },
    }).output();
    assert(success, [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("\n"));
  },
});
