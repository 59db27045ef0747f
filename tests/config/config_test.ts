import { assert, assertEquals } from "@std/assert";
import { join } from "node:path";
import { NumberText } from "../../src/domain/json_text.ts";
import { loadConfig } from "../../src/config/load.ts";
import { systemSecretSources } from "../../src/config/secrets.ts";
import { configOf, entry, ENV, warningsOf, WHSEC } from "./a_reading.ts";

Deno.test("config: an empty one has the documented defaults", async () => {
  const config = await configOf("{}", { path: "/etc/bellhook/config.json" });
  assertEquals(config.path, "/etc/bellhook/config.json");
  assertEquals(config.server, {
    listen: { kind: "tcp", host: "127.0.0.1", port: 8420 },
    maxBodyBytes: 262_144,
    shutdownGraceMs: 20_000,
    socketMode: 0o660,
    basePath: "",
  });
  assertEquals(config.storage, {
    path: "/etc/bellhook/bellhook.db",
    keepDeliveredMs: 30 * 86_400_000,
    keepExhaustedMs: 90 * 86_400_000,
  });
  assertEquals(config.totalConcurrency, 256);
  assertEquals([config.auth, config.eventTypes], [undefined, undefined]);
});

Deno.test("config: comments, trailing commas and a byte order mark are allowed", async () => {
  const config = await configOf('\ufeff// ours\n{ "include": [], /* none */ }');
  assertEquals(config.subscriptions, []);
});

Deno.test("config: a subscription has the documented defaults", async () => {
  const { subscriptions: [one] } = await configOf({ subscriptions: [entry()] });
  assert(one);
  assertEquals(one.profile.name, "standard");
  assertEquals(one.enabled, true);
  assertEquals(one.ladder.waitsMs, [60_000, 300_000, 1_800_000, 7_200_000, 86_400_000]);
  const { timeoutMs, jitter, success, concurrency, standardHeaders, traceparent, allowHttp } = one;
  assertEquals({
    timeoutMs,
    jitter,
    success,
    concurrency,
    standardHeaders,
    traceparent,
    allowHttp,
  }, {
    timeoutMs: 30_000,
    jitter: 0.1,
    success: [[200, 299]],
    concurrency: 16,
    standardHeaders: true,
    traceparent: false,
    allowHttp: false,
  });
  assertEquals(one.waitForConfirmation, true);
});

Deno.test("config: keepResponse goes by subscription, then delivery block, then 4 KiB", async () => {
  const subscriptions = [entry(), entry({ id: "two", keepResponse: "0B" })];
  const kept = async (delivery: unknown) =>
    (await configOf({ delivery, subscriptions })).subscriptions.map((one) => one.keepResponseBytes);
  assertEquals(await kept({}), [4_096, 0]);
  assertEquals(await kept({ keepResponse: "64KiB" }), [65_536, 0]);
});

Deno.test("config: a value goes by subscription, then delivery block, then profile", async () => {
  const scope = { venue_id: "*" };
  const own = { profile: "bookingshake", secret: { env: "TEXT" }, events: ["*"], scope };
  const timeouts = async (delivery: unknown, overrides: Record<string, unknown>) => {
    const config = await configOf({ delivery, subscriptions: [entry({ ...own, ...overrides })] });
    return config.subscriptions[0]!.timeoutMs;
  };
  assertEquals(await timeouts({}, {}), 5_000);
  assertEquals(await timeouts({ timeout: "7s" }, {}), 7_000);
  assertEquals(await timeouts({ timeout: "7s" }, { timeout: "9s" }), 9_000);
});

Deno.test("config: a default wait for confirmation holds where the profile has the choice", async () => {
  const { subscriptions } = await configOf({
    delivery: { waitForConfirmation: false },
    subscriptions: [
      entry(),
      entry({
        id: "two",
        profile: "booking-experts",
        events: ["*:*"],
        settings: { subscription_id: 1 },
        permissions: ["reservation"],
      }),
    ],
  });
  assertEquals(subscriptions.map((one) => one.waitForConfirmation), [true, false]);
});

Deno.test("config: numbers keep their digits wherever they are passed on", async () => {
  const config = await configOf(`{
    "eventTypes": {"booking.created": {"example": {"n": 1.10, /* exact */ "big": 9007199254740993,}}},
    "profiles": {"ours": {"extends": "standard", "body": {"v": {"value": 1e3}}}},
    "subscriptions": [{
      "id": "one", "url": "https://example.com/", "events": ["*"], "secret": {"env": "WHSEC"},
      "scope": {"account": [9007199254740993, 1.0], "__proto__": true},
      "match": {"total": {">=": 12345678901234567890}, "status": ["A", null], "gone": {"exists": false}},
      "settings": {"id": 12345678901234567890, "__proto__": {"deep": 1.50}},
    }],
  }`);
  const [one] = config.subscriptions;
  assert(one);
  assertEquals(config.eventTypes!.get("booking.created"), {
    example: '{"n":1.10,"big":9007199254740993}',
  });
  assertEquals(config.profiles.get("ours")!.body, [["v", { kind: "constant", value: "1e3" }]]);
  assertEquals([...one.scope], [["account", ["9007199254740993e0", "1e0"]], ["__proto__", [
    "true",
  ]]]);
  assertEquals(one.match, [
    {
      path: "total",
      anyOf: [{
        kind: "operators",
        operators: [{ name: ">=", operand: new NumberText("12345678901234567890") }],
      }],
    },
    {
      path: "status",
      anyOf: [{ kind: "equals", value: '"A"' }, { kind: "equals", value: "null" }],
    },
    {
      path: "gone",
      anyOf: [{ kind: "operators", operators: [{ name: "exists", operand: false }] }],
    },
  ]);
  assertEquals([...one.settings], [["id", "12345678901234567890"], ["__proto__", '{"deep":1.50}']]);
});

Deno.test("config: names that JavaScript would move or lose stay as they are", async () => {
  const config = await configOf(`{
    "profiles": {"__proto__": {"extends": "standard", "body": {"b": {"from": "id"}, "1": {"from": "type"}, "__proto__": {"from": "data"}}}},
    "subscriptions": [{"id": "one", "url": "https://example.com/", "events": ["*"], "secret": {"env": "WHSEC"},
      "profile": "__proto__", "headers": {"X-B": "1", "1": "2", "__proto__": "3"}, "rename": {"__proto__": "constructor"}}]
  }`);
  const [one] = config.subscriptions;
  assertEquals(one!.profile.body.map(([name]) => name), ["b", "1", "__proto__"]);
  assertEquals(one!.headers, [["X-B", "1"], ["1", "2"], ["__proto__", "3"]]);
  assertEquals([...one!.rename], [["__proto__", "constructor"]]);
});

Deno.test("config: a profile extends another of the file, wherever that stands", async () => {
  const { profiles } = await configOf({
    profiles: {
      c: { extends: "b", timeout: "3s" },
      b: { extends: "bookingshake", success: "200" },
    },
  });
  const c = profiles.get("c")!;
  assertEquals([c.timeoutMs, c.success, c.signature?.header], [
    3_000,
    [[200, 200]],
    "Bookingshake-Signature",
  ]);
});

Deno.test("config: private receivers are let through where they are named", async () => {
  const { subscriptions, notify } = await configOf({
    delivery: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] },
    notify: [{ webhook: { url: "http://127.0.0.1:9000/", secret: { env: "WHSEC" } } }],
    subscriptions: [
      entry({ url: "http://127.0.0.1:9000/hooks" }),
      entry({ id: "two", url: "http://localhost:9000/hooks" }),
    ],
  });
  assertEquals(subscriptions.map((one) => [one.allowHttp, one.allowNetworks]), [
    [true, ["127.0.0.0/8"]],
    [true, ["127.0.0.0/8"]],
  ]);
  assertEquals(notify.map((one) => one.kind === "webhook" && one.allowNetworks), [["127.0.0.0/8"]]);
});

Deno.test("config: a profile that does without https needs no leave for http", async () => {
  const { subscriptions: [one] } = await configOf({
    profiles: { ours: { extends: "standard", https: "optional" } },
    subscriptions: [entry({ profile: "ours", url: "http://example.com/" })],
  });
  assertEquals(one!.allowHttp, true);
});

Deno.test("config: patterns that reach a catalogue by a rename are in order", async () => {
  const own = { profile: "bookingsync", secret: { env: "TEXT" } };
  const rename = { "booking.cancelled": "booking_destroyed" };
  await configOf({
    subscriptions: [
      entry({ ...own, id: "exact", events: ["booking.cancelled"], rename }),
      entry({ ...own, id: "wildcard", events: ["booking.*"], rename }),
    ],
  });
});

Deno.test("config: rights of callers are read", async () => {
  const { auth } = await configOf({
    auth: {
      publishers: [{
        name: "pms",
        token: { env: "TEXT" },
        types: ["a.*"],
        scope: { venue: [1, 2] },
      }],
      operators: [{ name: "ops", token: { env: "OTHER" } }],
    },
  });
  const [publisher] = auth!.publishers;
  assertEquals(publisher!.types!.map((type) => type.text), ["a.*"]);
  assertEquals([...publisher!.scope!], [["venue", ["1e0", "2e0"]]]);
  assertEquals(publisher!.token.reveal(), ENV.TEXT!);
  assertEquals(auth!.operators.map((one) => one.name), ["ops"]);
});

Deno.test("config: a channel is told all but what is exhausted, unless kinds are named", async () => {
  const { notify } = await configOf({
    notify: [{ command: ["true"] }, { command: ["true"], on: ["config.rejected"] }],
  });
  assertEquals(notify.map((one) => one.on), [
    ["subscription.failing", "subscription.recovered", "subscription.paused", "config.rejected"],
    ["config.rejected"],
  ]);
});

Deno.test("config: listen takes IPv6, a socket, and other addresses where there is auth", async () => {
  const listenOf = async (listen: string) =>
    (await configOf({
      server: { listen },
      auth: { operators: [{ name: "o", token: { env: "TEXT" } }] },
    }, {
      path: "/etc/bellhook/config.json",
    })).server.listen;
  assertEquals(await listenOf("[::1]:0"), { kind: "tcp", host: "::1", port: 0 });
  assertEquals(await listenOf("0.0.0.0:80"), { kind: "tcp", host: "0.0.0.0", port: 80 });
  assertEquals(await listenOf("unix:/run/b.sock"), { kind: "unix", path: "/run/b.sock" });
  assertEquals(await listenOf("unix:b.sock"), { kind: "unix", path: "/etc/bellhook/b.sock" });
});

Deno.test("config: the database may be absolute, or in memory", async () => {
  const pathOf = async (url: string) =>
    (await configOf({ storage: { url } }, { path: "/etc/bellhook/config.json" })).storage.path;
  assertEquals(await pathOf("sqlite:../data/b.db"), "/etc/data/b.db");
  assertEquals(await pathOf("sqlite:/var/b.db"), "/var/b.db");
  assertEquals(await pathOf("sqlite:///var/b.db"), "/var/b.db");
  assertEquals(await pathOf("sqlite::memory:"), ":memory:");
});

Deno.test("config: a rotation under Standard Webhooks is nothing to warn of", async () => {
  const previousSecret = { env: "WHSEC", until: "2024-04-01T00:00:00Z" };
  assertEquals(await warningsOf({ subscriptions: [entry({ previousSecret })] }), "");
});

Deno.test("secret: line ends at a file's end are no part of it", async () => {
  const secretOf = async (text: string) => {
    const config = { subscriptions: [entry({ profile: "roostsync", secret: { file: "key" } })] };
    const { subscriptions } = await configOf(config, {
      path: "/etc/bellhook/config.json",
      files: { "/etc/bellhook/key": text },
    });
    return subscriptions[0]!.secret!.reveal();
  };
  assertEquals(await secretOf("hunter2\n"), "hunter2");
  assertEquals(await secretOf("hunter2\r\n"), "hunter2");
  assertEquals(await secretOf("two\nlines\n\r\n\n"), "two\nlines");
  assertEquals(await secretOf(" blanks \n"), " blanks ");
});

Deno.test("secret: a header's value may be one", async () => {
  const { subscriptions: [one] } = await configOf({
    subscriptions: [entry({ headers: { Authorization: { credential: "key" } } })],
  }, { credentials: { key: "Bearer hunter2\n" } });
  const [[, value]] = one!.headers as [[string, unknown]];
  assertEquals(`${value}`, "Secret(…)");
});

Deno.test("config: the system's sources are the environment, files and systemd's directory", async () => {
  const directory = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(join(directory, "from-systemd"), "one\n");
    await Deno.writeTextFile(join(directory, "from-file"), "two\n");
    const secrets = ["env", "file", "credential"].map((kind, index) => ({
      ...entry({ id: kind, profile: "roostsync", scope: { index } }),
      secret: { [kind]: { env: "IN_ENV", file: "from-file", credential: "from-systemd" }[kind] },
    }));
    const path = join(directory, "config.json");
    await Deno.writeTextFile(path, JSON.stringify({ subscriptions: secrets }));
    const variables = new Map([["IN_ENV", "zero"], ["CREDENTIALS_DIRECTORY", directory]]);
    const loaded = await loadConfig(path, systemSecretSources({ get: (n) => variables.get(n) }));
    assert(loaded.ok);
    const values = loaded.config.subscriptions.map((one) => one.secret!.reveal());
    assertEquals(values, ["zero", "two", "one"]);
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
});

Deno.test("config: a file that is not there is a problem, not an exception", async () => {
  const loaded = await loadConfig(
    "/nowhere/config.json",
    systemSecretSources({ get: () => WHSEC }),
  );
  assert(!loaded.ok);
  assertEquals(loaded.problems, [{
    file: "/nowhere/config.json",
    path: "",
    message: "the config file cannot be read: there is no such file",
    fix: 'name another with "-c FILE", or make one with "bellhook init"',
  }]);
});
