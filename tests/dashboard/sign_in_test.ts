import { assert, assertEquals, assertMatch } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { Sessions } from "../../src/http/session.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { Visitor } from "./visitor.ts";

const AUTH = {
  publishers: [{ name: "pms", token: new Secret("a-publisher-s-token") }],
  operators: [{ name: "ada", token: new Secret("an-operator-s-token") }],
};

function aDaemonWithAuth(clock?: FakeClock) {
  const config = aConfig({ auth: AUTH, subscriptions: [aSubscription({ id: "s" })] });
  return aDaemon(config, clock ? { clock } : {});
}

async function signIn(visitor: Visitor, token: string, from = "/") {
  return await visitor.submit(await visitor.open(from), "/dashboard/sign-in", { token });
}

Deno.test("sign-in: a token is exchanged for a session, and the page asked for comes up", async () => {
  await using daemon = await aDaemonWithAuth();
  const visitor = new Visitor(daemon.url);
  const asked = "/dashboard/deliveries?state=exhausted&q=a%26b";
  const before = await visitor.open(asked);
  assertEquals([before.status, before.title], [200, "Sign in · Bellhook"]);
  const after = await visitor.submit(before, "/dashboard/sign-in", {
    token: " an-operator-s-token ",
  });
  assertEquals([after.status, after.path], [200, asked]);
});

Deno.test("sign-in: the session's cookie is kept from scripts and from other sites", async () => {
  await using daemon = await aDaemonWithAuth();
  const visitor = new Visitor(daemon.url);
  const page = await visitor.open("/");
  const { hidden } = page.forms[0]!;
  for (const proto of ["http", "https"]) {
    const body = new URLSearchParams({ ...hidden, token: "an-operator-s-token" });
    const response = await visitor.ask("/dashboard/sign-in", {
      method: "POST",
      body,
      headers: { "x-forwarded-proto": proto },
    });
    await response.body?.cancel();
    const cookie = response.headers.get("set-cookie")!;
    assertMatch(cookie, /^bellhook_session=[\w-]{43}; Path=\/; HttpOnly;/);
    assertMatch(cookie, /SameSite=Strict/);
    assertEquals(cookie.includes("Secure"), proto === "https");
  }
});

Deno.test("sign-in: only an operator's token will do", async () => {
  await using daemon = await aDaemonWithAuth();
  for (const token of ["", "wrong", "a-publisher-s-token"]) {
    const visitor = new Visitor(daemon.url);
    const answer = await signIn(visitor, token);
    assertEquals(answer.status, 403);
    assert(answer.text.includes("The token is not one of auth.operators."));
    assertEquals((await visitor.open("/")).title, "Sign in · Bellhook");
  }
});

Deno.test("sign-in: it leads to no other site", async () => {
  await using daemon = await aDaemonWithAuth();
  const elsewhere = ["//evil.example/", "/\\evil.example", "https://evil.example/", "/\t/evil"]
    .concat(["/..//evil.example/", "/.//evil", "/dashboard/../..//evil", "/%2e%2e//evil.example/"])
    .concat([
      "/x/%2E%2e/%2e.//evil",
      "/..\\/evil",
      "/..\\\\evil",
      "///evil",
      "/./\\evil",
      "evil",
      "\\\\evil",
    ]);
  for (const to of elsewhere) {
    const visitor = new Visitor(daemon.url);
    const page = await visitor.open(`/dashboard/sign-in?to=${encodeURIComponent(to)}`);
    assert(!page.html.includes("evil"), page.html);
    const { csrf } = page.forms[0]!.hidden;
    const response = await visitor.ask("/dashboard/sign-in", {
      method: "POST",
      body: new URLSearchParams({ csrf: csrf!, to, token: "an-operator-s-token" }),
    });
    await response.body?.cancel();
    assertEquals([response.status, response.headers.get("location")], [303, "/"]);
  }
});

Deno.test("sign-out: the session is over, for whoever kept its cookie too", async () => {
  await using daemon = await aDaemonWithAuth();
  const visitor = new Visitor(daemon.url);
  const home = await signIn(visitor, "an-operator-s-token");
  const { cookie } = visitor;
  const kept = () => new Visitor(daemon.url).open("/", { cookie });
  assertEquals((await kept()).title, "Overview · Bellhook");
  assertEquals((await visitor.submit(home, "/dashboard/sign-out")).title, "Sign in · Bellhook");
  assertEquals((await kept()).title, "Sign in · Bellhook");
});

Deno.test("a link on another site: the page is asked for once more, now with the cookie", async () => {
  await using daemon = await aDaemonWithAuth();
  const visitor = new Visitor(daemon.url);
  const page = await visitor.open("/dashboard/config", { "sec-fetch-site": "cross-site" });
  assertEquals([page.status, page.headers.get("refresh")], [200, "0"]);
  const again = await visitor.open("/dashboard/config", { "sec-fetch-site": "same-origin" });
  assertEquals(again.title, "Sign in · Bellhook");
});

Deno.test("sessions: they end by idleness, by a sign-out, and with the operator's token", () => {
  const clock = new FakeClock();
  let config = aConfig({ auth: AUTH });
  const sessions = new Sessions({ config: () => config, clock, random: systemRandom() });
  const [idle, used, signedOut] = [1, 2, 3].map(() => sessions.signIn("an-operator-s-token")!);
  assert(idle && used && signedOut);
  assertEquals(new Set([idle, used, signedOut].flatMap(({ id, csrf }) => [id, csrf])).size, 6);
  sessions.signOut(signedOut.id);
  assertEquals(sessions.find(signedOut.id), undefined);
  clock.advance(11 * 3_600_000);
  assertEquals([sessions.find(idle.id), sessions.use(used.id)], [idle, used]);
  clock.advance(3_600_000);
  assertEquals([sessions.find(idle.id), sessions.find(used.id)], [undefined, used]);
  const operators = [{ name: "ada", token: new Secret("another-token") }];
  config = aConfig({ auth: { ...AUTH, operators } });
  assertEquals(sessions.find(used.id), undefined);
});

Deno.test("sign-in: who came in, who left and who did what is in the history, with the address", async () => {
  const config = aConfig({ auth: AUTH, subscriptions: [aSubscription({ id: "s" })] });
  const server = { ...config.server, trustProxy: ["127.0.0.1"] };
  await using daemon = await aDaemon({ ...config, server });
  const visitor = new Visitor(daemon.url);
  await signIn(visitor, "wrong");
  const inside = await signIn(visitor, "an-operator-s-token");
  const page = await visitor.open("/dashboard/subscriptions/s");
  await visitor.submit(page, "/dashboard/subscriptions/s/pause");
  const headers = { authorization: "Bearer an-operator-s-token" };
  await daemon.call("POST", "/v1/subscriptions/s/resume", undefined, {
    ...headers,
    "x-forwarded-for": "203.0.113.9, 198.51.100.7",
  });
  await daemon.call("POST", "/v1/subscriptions/s/test", {}, headers);
  await daemon.call("POST", "/-/reload", undefined, headers);
  await daemon.reload();
  const { text } = await visitor.open("/dashboard/history");
  await visitor.submit(inside, "/dashboard/sign-out");
  const again = await signIn(visitor, "an-operator-s-token", "/dashboard/history");
  for (const said of ["signed in", "signed out", "from 127.0.0.1", "from 198.51.100.7"]) {
    assert(again.text.includes(said), said);
  }
  const { body: metrics } = await daemon.call("GET", "/metrics", undefined, headers);
  assertMatch(metrics, /^bellhook_access_refused_total\{reason="sign_in"\} 1$/m);
  // Neither who was refused nor what was tried is in the history.
  assertEquals(text.match(/signed in/g)?.length, 1);
  assert(!text.includes("wrong"));
});

Deno.test("sign-in: after some refusals the next one waits, and the right token does not", async () => {
  const clock = new FakeClock();
  await using daemon = await aDaemon(aConfig({ auth: AUTH }), { clock });
  const visitor = new Visitor(daemon.url);
  for (let count = 0; count < 10; count++) {
    assertEquals((await signIn(visitor, "wrong")).status, 403);
  }
  let answered = 0;
  const many = Array.from({ length: 9 }, async () => {
    const { status } = await signIn(new Visitor(daemon.url), "wrong");
    answered++;
    return status;
  });
  await until(() => answered === 1, "one is refused at once");
  assertEquals((await signIn(new Visitor(daemon.url), "an-operator-s-token")).status, 200);
  clock.advance(4_000);
  assertEquals((await Promise.all(many)).toSorted(), [...Array(8).fill(403), 429]);
});

Deno.test("sessions: a page that asks by itself keeps nobody signed in, what a person does does", async () => {
  const clock = new FakeClock();
  await using daemon = await aDaemonWithAuth(clock);
  const visitor = new Visitor(daemon.url);
  await signIn(visitor, "an-operator-s-token");
  const status = async (headers: Record<string, string>) => {
    const response = await visitor.ask("/dashboard/deliveries", { headers });
    await response.body?.cancel();
    return response.status;
  };
  clock.advance(11 * 3_600_000);
  assertEquals(await status({ "sec-fetch-mode": "navigate" }), 200);
  // What fetches itself anew, in a browser that says so and in one that does not, and a stream.
  for (let hour = 1; hour < 12; hour++) {
    clock.advance(3_600_000);
    for (
      const headers of [
        { "sec-fetch-mode": "cors", "x-requested-by": "dashboard" },
        { "sec-fetch-mode": "same-origin" },
        { "x-requested-by": "dashboard" },
        { "accept": "text/event-stream" },
      ]
    ) assertEquals(await status(headers), 200);
  }
  const live = await visitor.ask("/dashboard/deliveries/live", {
    headers: { "accept": "text/event-stream" },
  });
  clock.advance(3_600_000);
  assertEquals(await status({ "x-requested-by": "dashboard" }), 401);
  assertEquals(await status({ "sec-fetch-mode": "navigate" }), 303);
  // The stream that was open ends as well.
  clock.advance(15_000);
  await live.text();
});

Deno.test("sign-in: a form that is larger than any sign-in is refused, and says so", async () => {
  await using daemon = await aDaemonWithAuth();
  const answer = await new Visitor(daemon.url).post("/dashboard/sign-in", {
    token: "x".repeat(9_000),
  });
  assertEquals(answer.status, 413);
  assert(answer.text.includes("the form is larger than 8KiB"), answer.text);
});
