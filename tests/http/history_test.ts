import { assertEquals } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { aConformingDaemon } from "./conforming.ts";

const AT = "2024-03-15T10:30:00Z";

Deno.test("GET /v1/history: shows who did what, and from which address, newest first", async () => {
  const config = aConfig({
    auth: {
      publishers: [{ name: "app", token: new Secret("a-publisher-s-token") }],
      operators: [{ name: "ada", token: new Secret("an-operator-s-token") }],
    },
    subscriptions: [aSubscription({ id: "s" }), aSubscription({ id: "other" })],
  });
  const server = { ...config.server, trustProxy: ["127.0.0.0/8"] };
  const clock = new FakeClock();
  await using daemon = await aConformingDaemon({ ...config, server }, { clock });
  const as = (token: string, method: string, path: string, body?: unknown) =>
    daemon.call(method, path, body, {
      authorization: `Bearer ${token}`,
      "x-forwarded-for": "198.51.100.7, 2001:DB8::1",
    });
  const ada = "an-operator-s-token";
  const by = { by: "ada", address: "2001:db8::1" };
  await as(ada, "POST", "/v1/subscriptions/s/pause");
  const { body: { deliveries: [{ id }] } } = await as(ada, "POST", "/v1/events", {
    type: "t",
    data: 1,
  });
  await as(ada, "POST", `/v1/deliveries/${id}/cancel`);
  await as(ada, "POST", "/v1/subscriptions/s/resume");
  await as(ada, "POST", "/v1/replays", { subscription: "other", since: "2024-01-01T00:00:00Z" });
  await daemon.reload();
  const list = async (query = "") => (await as(ada, "GET", `/v1/history${query}`)).body;
  const about = { at: AT, subscription: "s" };
  const paused = { ...about, kind: "paused", cause: "paused by ada", ...by };
  const cancelled = { ...about, kind: "cancelled", delivery: id, cause: "cancelled by ada", ...by };
  const resumed = { ...about, kind: "resumed", cause: "resumed by ada", ...by };
  const ofS = await list("?subscription=s");
  assertEquals(ofS, { items: [resumed, cancelled, paused], next: null });
  assertEquals((await list(`?delivery=${id}`)).items, [cancelled]);
  const all = await list();
  assertEquals(
    all.items.map((one: typeof by & { kind: string }) => [one.kind, one.by, one.address]),
    [
      ["replayed", "ada", "2001:db8::1"],
      ["resumed", "ada", "2001:db8::1"],
      ["cancelled", "ada", "2001:db8::1"],
      ["paused", "ada", "2001:db8::1"],
    ],
  );
  const first = await list("?limit=1");
  assertEquals((await list(`?limit=1&cursor=${first.next}`)).items[0].kind, "resumed");
  assertEquals((await as("a-publisher-s-token", "GET", "/v1/history")).status, 403);
  assertEquals((await as(ada, "GET", "/v1/history?who=ada")).status, 422);
});

Deno.test("GET /v1/history: the address of a Unix socket's client is `unix`", async () => {
  const path = `${await Deno.makeTempDir()}/bellhook.sock`;
  const config = aConfig({ subscriptions: [aSubscription({ id: "s" })] });
  const server = { ...config.server, listen: { kind: "unix", path } as const };
  await using _ = await aConformingDaemon({ ...config, server });
  using client = Deno.createHttpClient({ proxy: { transport: "unix", path } });
  const ask = async (method: string, path: string) => {
    const headers = { "x-forwarded-for": "203.0.113.9" };
    const response = await fetch(`http://localhost${path}`, { client, method, headers });
    return await response.json();
  };
  await ask("POST", "/v1/subscriptions/s/pause");
  const { items: [entry] } = await ask("GET", "/v1/history");
  assertEquals([entry.by, entry.address], ["local", "unix"]);
});
