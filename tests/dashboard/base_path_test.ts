import { assert, assertEquals, assertMatch } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { shownUnder, withoutBasePath } from "../../src/http/base_path.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { Visitor } from "./visitor.ts";

const BASE = "/internal/bellhook";

function aDaemonBelow(auth?: ReturnType<typeof aConfig>["auth"]) {
  const { server } = aConfig();
  return aDaemon(aConfig({
    server: { ...server, basePath: BASE },
    subscriptions: [aSubscription({ id: "s" })],
    ...(auth && { auth }),
  }));
}

Deno.test("base path: every link, form and file of every page is below it, and is there", async () => {
  await using daemon = await aDaemonBelow();
  await daemon.call("POST", "/v1/events", { type: "t", data: { html: 'href="/x" <a href="/y">' } });
  const visitor = new Visitor(daemon.url);
  const seen = new Set<string>([`${BASE}/`]);
  for (const path of seen) {
    const page = await visitor.open(path);
    assert(page.status < 400, `${path}: ${page.status}`);
    const marked = page.html.matchAll(/ (?:href|src|action|data-href|data-live)="([^"]*)"/g);
    const own = [...marked].map(([, to]) => to!).filter((to) => to.startsWith("/"));
    for (const to of own) assert(to.startsWith(`${BASE}/`), `${path} leads to ${to}`);
    const links = page.links.filter((to) => to.startsWith(BASE)).map((to) => to.split("#")[0]!);
    if (seen.size < 30) { for (const to of links) seen.add(to); }
  }
  assert(seen.size > 8, [...seen].join(" "));
  const [page] = [await visitor.open("/dashboard/deliveries")];
  assert(page.links.every((to) => !to.startsWith("/") || to.startsWith(BASE)));
});

Deno.test("base path: what an event holds is shown as it is", async () => {
  await using daemon = await aDaemonBelow();
  const { body } = await daemon.call("POST", "/v1/events", { type: "t", data: ' href="/x"' });
  const page = await new Visitor(daemon.url).open(`${BASE}/dashboard/events/${body.id}`);
  assert(page.text.includes(' href=\\"/x\\"') || page.text.includes(' href="/x"'), page.text);
});

Deno.test("base path: signing in, an action and signing out lead from page to page below it", async () => {
  const operators = [{ name: "ada", token: new Secret("the-token-of-ada") }];
  await using daemon = await aDaemonBelow({ publishers: [], operators });
  const visitor = new Visitor(daemon.url);
  const first = await visitor.open(`${BASE}/dashboard/subscriptions/s`);
  const { hidden } = first.forms[0]!;
  const response = await visitor.ask(`${BASE}/dashboard/sign-in`, {
    method: "POST",
    body: new URLSearchParams({ ...hidden, token: "the-token-of-ada" }),
  });
  await response.body?.cancel();
  assertMatch(response.headers.get("set-cookie")!, /; Path=\/internal\/bellhook; HttpOnly/);
  assertEquals(response.headers.get("location"), `${BASE}/dashboard/subscriptions/s`);
  const page = await visitor.open(response.headers.get("location")!);
  const paused = await visitor.submit(page, `${BASE}/dashboard/subscriptions/s/pause`);
  assertEquals([paused.status, paused.path], [
    200,
    `${BASE}/dashboard/subscriptions/s?done=paused`,
  ]);
  const out = await visitor.submit(paused, `${BASE}/dashboard/sign-out`);
  assertEquals(out.path, `${BASE}/dashboard/sign-in`);
  assertEquals(visitor.cookie, "");
});

Deno.test("base path: the API answers with it and without it, and its document names it", async () => {
  await using daemon = await aDaemonBelow();
  const event = { type: "t", data: 1 };
  assertEquals((await daemon.call("POST", `${BASE}/v1/events`, event)).status, 202);
  assertEquals((await daemon.call("POST", "/v1/events", event)).status, 202);
  assertEquals((await daemon.call("GET", `${BASE}/v1/events?limit=1`)).body.items.length, 1);
  const { body } = await daemon.call("GET", `${BASE}/openapi.json`);
  assertEquals(body.servers[0].url, BASE);
  for (const path of ["/internal", `${BASE}x/v1/events`, `${BASE}/bellhook/v1/events`]) {
    assertEquals((await daemon.call("GET", path)).status, 404, path);
  }
});

Deno.test("base path: what is taken off an address, and put before one", async () => {
  const cases: [string, string][] = [
    ["http://h/a/b?x=/a", "http://h/b?x=/a"],
    ["http://h/a", "http://h/"],
    ["http://h/a?x", "http://h/?x"],
    ["http://h/ab", "http://h/ab"],
    ["http://h/b/a", "http://h/b/a"],
    ["http://a/b", "http://a/b"],
    ["http://h", "http://h"],
  ];
  for (const [url, expected] of cases) assertEquals(withoutBasePath(url, "/a"), expected);
  const redirect = (location: string) => new Response(null, { status: 303, headers: { location } });
  for (const [to, expected] of [["/x", "/a/x"], ["/a/x", "/a/x"], ["/ab", "/a/ab"]] as const) {
    assertEquals((await shownUnder("/a", redirect(to))).headers.get("location"), expected);
  }
});
