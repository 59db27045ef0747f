import { assertEquals, assertStringIncludes } from "@std/assert";
import { entry, warningsOf } from "./a_reading.ts";

Deno.test("warning: a previous secret where the platform's header has room for one", async () => {
  assertEquals(
    await warningsOf({
      subscriptions: [
        entry({
          profile: "roostsync",
          secret: { env: "TEXT" },
          previousSecret: { env: "OTHER", until: "2024-04-01T00:00:00Z" },
        }),
      ],
    }),
    [
      "config.json:13:25  subscriptions[0].previousSecret",
      '  "X-RoostSync-Signature" has room for one signature, so only "secret" makes it; the previous one signs in webhook-signature alone',
      "  fix: change the receiver's secret and this one at the same time",
    ].join("\n"),
  );
});

Deno.test("warning: everybody as a proxy to trust", async () => {
  for (const [network, column] of [["0.0.0.0/0", 7], ["::/0", 7]] as const) {
    assertEquals(
      await warningsOf({ server: { trustProxy: ["10.0.0.0/8", network] } }),
      [
        `config.json:5:${column}  server.trustProxy[1]`,
        "  everybody counts as a proxy, so any client can claim any address",
        "  fix: name the addresses of your proxies",
      ].join("\n"),
    );
  }
});

Deno.test("warning: a rotation that is over", async () => {
  assertEquals(
    await warningsOf({
      subscriptions: [entry({ previousSecret: { env: "WHSEC", until: "2024-03-01T00:00:00Z" } })],
    }),
    [
      "config.json:14:18  subscriptions[0].previousSecret.until",
      "  the previous secret's time is over: it signs no more",
      '  fix: take "previousSecret" out',
    ].join("\n"),
  );
});

Deno.test("warning: a profile that signs nothing without the standard headers", async () => {
  assertEquals(
    await warningsOf({ subscriptions: [entry({ standardHeaders: false })] }),
    [
      "config.json:12:26  subscriptions[0].standardHeaders",
      '  without the standard headers nothing is signed: profile "standard" has no signature of its own',
      '  fix: take "standardHeaders": false out',
    ].join("\n"),
  );
});

Deno.test("warning: a signature without the body in it", async () => {
  const signature = { header: "X-Ours", over: "{id}.{timestamp}" };
  assertEquals(
    await warningsOf({ profiles: { ours: { extends: "standard", signature } } }),
    [
      "config.json:7:17  profiles.ours.signature.over",
      "  the body is not signed: who changes it on its way goes unnoticed",
      '  fix: add "{body}", unless the receiver signs without it',
    ].join("\n"),
  );
});

Deno.test("warning: a setting that the profile has no use for", async () => {
  assertEquals(
    await warningsOf({ subscriptions: [entry({ settings: { subscription_id: 1 } })] }),
    [
      "config.json:13:9  subscriptions[0].settings.subscription_id",
      '  profile "standard" has no use for the setting "subscription_id"',
      "  fix: take it out",
    ].join("\n"),
  );
});

Deno.test("warning: permissions that the profile does not ask for", async () => {
  assertEquals(
    await warningsOf({ subscriptions: [entry({ permissions: ["reservation"] })] }),
    [
      "config.json:12:22  subscriptions[0].permissions",
      '  profile "standard" asks for no permissions',
      "  fix: take them out",
    ].join("\n"),
  );
});

Deno.test("warning: no permissions where the profile asks for them", async () => {
  assertEquals(
    await warningsOf({
      subscriptions: [
        entry({ profile: "booking-experts", events: ["*:*"], settings: { subscription_id: 1 } }),
      ],
    }),
    [
      "config.json:3:5  subscriptions[0].permissions",
      '  profile "booking-experts" delivers nothing without permissions',
      '  fix: list the resources it may read: "permissions": ["reservation"]',
    ].join("\n"),
  );
});

Deno.test("warning: an event whose resource is not among the permissions", async () => {
  assertEquals(
    await warningsOf({
      subscriptions: [
        entry({
          profile: "booking-experts",
          events: ["reservation:created", "category|*"],
          permissions: ["reservation"],
          settings: { subscription_id: 1 },
        }),
      ],
    }),
    [
      "config.json:8:9  subscriptions[0].events[1]",
      '  nothing is delivered for this: "category" is not among the permissions',
      '  fix: add it to "permissions"',
    ].join("\n"),
  );
});

Deno.test("warning: a rename of what the subscription does not get", async () => {
  assertEquals(
    await warningsOf({ subscriptions: [entry({ rename: { "booking.updated": "b" } })] }),
    [
      'config.json:13:9  subscriptions[0].rename["booking.updated"]',
      '  the subscription gets no event "booking.updated", so none is renamed',
      '  fix: add it to "events", or take it out here',
    ].join("\n"),
  );
});

Deno.test("warning: two subscriptions that send the same to the same place", async () => {
  assertEquals(
    await warningsOf({ subscriptions: [entry(), entry({ id: "two" })] }),
    [
      "config.json:13:5  subscriptions[1]",
      "  another subscription sends the same events to the same URL, on line 3",
      "  fix: take one of them out if that is not meant",
    ].join("\n"),
  );
});

Deno.test("warning: a telling header whose value stands in the file", async () => {
  assertEquals(
    await warningsOf({ subscriptions: [entry({ headers: { Authorization: "Bearer hunter2" } })] }),
    [
      "config.json:13:26  subscriptions[0].headers.Authorization",
      '  the value of "Authorization" is written into the file, and shown by the API',
      '  fix: if it is a secret, write {"env": "NAME"} instead',
    ].join("\n"),
  );
});

Deno.test("warning: a token that can be guessed", async () => {
  assertEquals(
    await warningsOf({ auth: { operators: [{ name: "ops", token: { env: "S" } }] } }, {
      env: { S: "hunter2" },
    }),
    [
      "config.json:6:18  auth.operators[0].token",
      "  the token has fewer than 16 characters: it can be guessed",
      "  fix: choose one of 32 random characters",
    ].join("\n"),
  );
});

Deno.test("warning: auth that lets nobody in", async () => {
  assertEquals(
    await warningsOf({ auth: {} }),
    [
      "config.json:2:11  auth",
      "  nobody is named here, so nobody may call",
      '  fix: name somebody in "publishers" and "operators", or take "auth" out',
    ].join("\n"),
  );
});

Deno.test("warning: a glob that fits no file", async () => {
  assertEquals(
    await warningsOf({ include: ["customers/*.json"] }),
    [
      "config.json:3:5  include[0]",
      '  no file fits "customers/*.json"',
      "  fix: add a file there, or take the glob out",
    ].join("\n"),
  );
});

Deno.test("warning: a database that keeps nothing", async () => {
  assertStringIncludes(
    await warningsOf({ storage: { url: "sqlite::memory:" } }),
    "nothing in this database outlives the process: a 202 promises nothing",
  );
});
