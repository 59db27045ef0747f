import { assert, assertEquals, assertMatch } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { Sessions } from "../../src/http/session.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { Visitor } from "./visitor.ts";

const AUTH = {
  publishers: [{ name: "pms", token: new Secret("a-publisher-s-token") }],
  operators: [{ name: "ada", token: new Secret("an-operator-s-token") }],
};

function aDaemonWithAuth() {
  return aDaemon(aConfig({ auth: AUTH, subscriptions: [aSubscription({ id: "s" })] }));
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
    assert(answer.text.includes("The token is none of auth.operators."));
    assertEquals((await visitor.open("/")).title, "Sign in · Bellhook");
  }
});

Deno.test("sign-in: it leads to no other site", async () => {
  await using daemon = await aDaemonWithAuth();
  for (const to of ["//evil.example/", "/\\evil.example", "https://evil.example/", "/\t/evil"]) {
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
  assertEquals(sessions.find(used.id), used);
  clock.advance(3_600_000);
  assertEquals([sessions.find(idle.id), sessions.find(used.id)], [undefined, used]);
  const operators = [{ name: "ada", token: new Secret("another-token") }];
  config = aConfig({ auth: { ...AUTH, operators } });
  assertEquals(sessions.find(used.id), undefined);
});

Deno.test("sign-in: a form that is larger than any sign-in is refused, and says so", async () => {
  await using daemon = await aDaemonWithAuth();
  const answer = await new Visitor(daemon.url).post("/dashboard/sign-in", {
    token: "x".repeat(9_000),
  });
  assertEquals(answer.status, 413);
  assert(answer.text.includes("the form is larger than 8KiB"), answer.text);
});
