import { assert, assertEquals, assertMatch } from "@std/assert";
import { entry, ENV, problemsOf, withText } from "./a_reading.ts";

Deno.test("wrong value: a length of time", async () => {
  assertEquals(
    await problemsOf(withText(`"timeout": "30 s"`)),
    [
      "config.json:7:16  subscriptions[0].timeout",
      '  "30 s" is no length of time',
      '  fix: write it as "500ms", "30s", "5m", "2h" or "30d"',
    ].join("\n"),
  );
});

Deno.test("wrong value: a deadline of nothing", async () => {
  assertEquals(
    await problemsOf(withText(`"timeout": "0s"`)),
    [
      "config.json:7:16  subscriptions[0].timeout",
      '  "0s" is no time at all',
      "  fix: give more than zero",
    ].join("\n"),
  );
});

Deno.test("wrong value: a wait of centuries", async () => {
  assertEquals(
    await problemsOf(withText(`"retry": ["100000d"]`)),
    [
      "config.json:7:15  subscriptions[0].retry[0]",
      '  "100000d" is longer than ten years',
      '  fix: give "3650d" at most',
    ].join("\n"),
  );
});

Deno.test("wrong value: a size", async () => {
  assertEquals(
    await problemsOf(`{"server": {"maxBody": "256KB"}}`),
    [
      "config.json:1:24  server.maxBody",
      '  "256KB" is no size',
      '  fix: write it as "512B", "64KiB" or "1MiB"',
    ].join("\n"),
  );
});

Deno.test("wrong value: a network", async () => {
  assertEquals(
    await problemsOf(withText(`"allowNetworks": ["10.0.0.0/33"]`)),
    [
      "config.json:7:23  subscriptions[0].allowNetworks[0]",
      '  "10.0.0.0/33" is no network',
      '  fix: write it as "10.0.0.0/8", "fd00::/8" or a single address',
    ].join("\n"),
  );
});

Deno.test("wrong value: a proxy to trust", async () => {
  for (const value of ["10.0.0.0/33", "nginx", "010.0.0.1", "fe80::1%eth0", ""]) {
    assertEquals(
      await problemsOf(`{"server": {"trustProxy": ["::1", "unix", "fd00::/8", "${value}"]}}`),
      [
        "config.json:1:55  server.trustProxy[3]",
        `  "${value}" is no network`,
        '  fix: write it as "10.0.0.0/8", "fd00::/8", a single address, or "unix"',
      ].join("\n"),
    );
  }
});

Deno.test("wrong value: a rate", async () => {
  assertEquals(
    await problemsOf(withText(`"rateLimit": "10 per second"`)),
    [
      "config.json:7:18  subscriptions[0].rateLimit",
      '  "10 per second" is no rate',
      '  fix: write it as "10/s", "600/m", "1000/h" or "5000/d"',
    ].join("\n"),
  );
});

Deno.test("wrong value: more of a response than can be kept", async () => {
  assertEquals(
    await problemsOf(withText(`"keepResponse": "65KiB"`)),
    [
      "config.json:7:21  subscriptions[0].keepResponse",
      '  "65KiB" is more than can be kept of a response',
      '  fix: write it as "512B" or "4KiB"; "64KiB" is the most, "0B" keeps none',
    ].join("\n"),
  );
});

Deno.test("wrong value: a publisher's rate and maxPending", async () => {
  const quota = { rate: "fast", maxPending: 0 };
  const auth = { publishers: [{ name: "pms", token: { env: "TEXT" }, ...quota }] };
  assertEquals(
    (await problemsOf({ auth })).replaceAll(/json:\d+:\d+/g, "json"),
    [
      "config.json  auth.publishers[0].rate",
      '  "fast" is no rate',
      '  fix: write it as "10/s", "600/m", "1000/h" or "5000/d"',
      "config.json  auth.publishers[0].maxPending",
      "  0 is less than 1",
    ].join("\n"),
  );
});

Deno.test("wrong value: a rate of nothing", async () => {
  assertEquals(
    await problemsOf(withText(`"rateLimit": "0/s"`)),
    [
      "config.json:7:18  subscriptions[0].rateLimit",
      '  "0/s" is no rate',
      '  fix: write it as "10/s", "600/m", "1000/h" or "5000/d"',
    ].join("\n"),
  );
});

Deno.test("wrong value: a set of statuses", async () => {
  assertEquals(
    await problemsOf(withText(`"success": "ok"`)),
    [
      "config.json:7:16  subscriptions[0].success",
      '  "ok" is no set of statuses',
      '  fix: write it as "2xx", "200" or "200-204,409"',
    ].join("\n"),
  );
});

Deno.test("wrong value: statuses that are no success, wherever they are set", async () => {
  const told = (name: string, success: string) =>
    [
      `  "${success}" has ${name} in it, which is no success`,
      "  fix: keep to 200-299, 400-409 and 411-599",
    ].join("\n");
  const wrong = [["3xx", "200,302"], ["1xx", "1xx"], ["3xx", "200-399"], ["410", "4xx"], [
    "410",
    "410",
  ]] as const;
  for (const [name, success] of wrong) {
    assertEquals(
      await problemsOf(withText(`"success": "${success}"`)),
      `config.json:7:16  subscriptions[0].success\n${told(name, success)}`,
    );
  }
  assertEquals(
    await problemsOf({ delivery: { success: "3xx" } }),
    `config.json:3:16  delivery.success\n${told("3xx", "3xx")}`,
  );
  assertEquals(
    await problemsOf({ profiles: { ours: { extends: "standard", success: "2xx,410" } } }),
    `config.json:5:18  profiles.ours.success\n${told("410", "2xx,410")}`,
  );
  assertEquals(await problemsOf(withText(`"success": "2xx,400-409,411-499,5xx"`)), "");
});

Deno.test("wrong value: an id that stands for a channel of notices", async () => {
  assertEquals(
    await problemsOf(withText(`"id": "notify:command:/bin/true"`, "id")),
    'config.json:6:11  subscriptions[0].id\n  the id must not begin with "notify:"',
  );
});

Deno.test("wrong value: half a character in a name that is stored", async () => {
  const half = "the text holds half a character: a surrogate without its partner";
  assertEquals(
    await problemsOf(withText(`"id": "guests-\\ud800"`, "id")),
    `config.json:6:11  subscriptions[0].id\n  ${half}`,
  );
  assertEquals(
    await problemsOf(`{"auth": {"operators": [{"name": "\\udc00", "token": {"env": "TEXT"}}]}}`),
    `config.json:1:34  auth.operators[0].name\n  ${half}`,
  );
  assertEquals(await problemsOf(withText(`"id": "guests-\\ud83d\\ude00"`, "id")), "");
});

Deno.test("wrong value: jitter above one", async () => {
  assertEquals(
    await problemsOf(withText(`"jitter": 1.5`)),
    [
      "config.json:7:15  subscriptions[0].jitter",
      "  1.5 is more than 1",
    ].join("\n"),
  );
});

Deno.test("wrong value: concurrency below one", async () => {
  assertEquals(
    await problemsOf(withText(`"concurrency": 0`)),
    [
      "config.json:7:20  subscriptions[0].concurrency",
      "  0 is less than 1",
    ].join("\n"),
  );
});

Deno.test("wrong value: a kind of notice", async () => {
  assertEquals(
    await problemsOf({ notify: [{ command: ["true"], on: ["subscription.failed"] }] }),
    [
      "config.json:8:9  notify[0].on[0]",
      '  "subscription.failed" is none of the words for this',
      '  fix: did you mean "subscription.failing"?',
    ].join("\n"),
  );
});

Deno.test("wrong value: a notice without a way to go", async () => {
  assertEquals(
    await problemsOf({ notify: [{ on: ["subscription.failing"] }] }),
    [
      "config.json:3:5  notify[0]",
      '  one of "webhook", "email", "command", "slack" is missing',
      "  fix: add one of them",
    ].join("\n"),
  );
});

Deno.test("wrong value: a notice with two ways to go", async () => {
  assertEquals(
    await problemsOf({
      notify: [{
        command: ["true"],
        email: { smtp: "smtp://mail.example.com", from: "a@example.com", to: ["b@example.com"] },
      }],
    }),
    [
      "config.json:4:7  notify[0].command",
      '  the key "command" does not go with "email"',
      "  fix: keep one of them",
    ].join("\n"),
  );
});

Deno.test("wrong value: a program without a name", async () => {
  assertEquals(
    await problemsOf({ notify: [{ command: [""] }] }),
    [
      "config.json:5:9  notify[0].command[0]",
      "  the program has no name",
      "  fix: give the path of a program",
    ].join("\n"),
  );
});

Deno.test("wrong value: a contact by mail where no mail can be sent, and one that is nothing", async () => {
  assertEquals(
    await problemsOf(withText(`"contact": ["ops@customer.example", "customer.example"]`)),
    [
      "config.json:7:17  subscriptions[0].contact[0]",
      '  mail can\'t be sent: "notify" has no "email" channel, which says by what server',
      '  fix: add {"email": {"smtp": "smtp://user@host:587", "from": …, "to": […]}} to "notify"',
      "config.json:7:41  subscriptions[0].contact[1]",
      '  "customer.example" is neither a mail address nor a URL',
      '  fix: write it as "name@example.com" or "https://host/path"',
    ].join("\n"),
  );
});

Deno.test("wrong value: a contact's URL goes no further than its receiver's, and has to be signed", async () => {
  const config = (contact: string, secret: unknown) => ({
    profiles: { plain: { secret: { form: "text", required: false } } },
    subscriptions: [{
      id: "one",
      url: "https://example.com/",
      events: ["*"],
      profile: "plain",
      contact,
      ...(secret === undefined ? {} : { secret }),
    }],
  });
  const secret = { env: "TEXT" };
  assertMatch(await problemsOf(config("https://10.0.0.7/", secret)), /"10\.0\.0\.7" is not public/);
  assertMatch(await problemsOf(config("http://customer.example/", secret)), /the URL is http/);
  const unsigned = await problemsOf(config("https://customer.example/", undefined));
  assertMatch(unsigned, /subscriptions\[0\]\.contact\n.*signed with the subscription's secret/);
});

Deno.test("wrong value: Slack's URL is a secret, and is not repeated", async () => {
  const slack = (url: unknown) => ({ notify: [{ slack: { url } }] });
  const hook = "https://hooks.slack.com/services/T0/B0/hush-hush-hush";
  const written = await problemsOf(slack(hook));
  assertMatch(written, /notify\[0\]\.slack\.url\n {2}a secret is written into the file/);
  const http = await problemsOf(slack({ env: "HOOK" }), {
    env: { HOOK: hook.replace("https", "http") },
  });
  assertMatch(http, /notify\[0\]\.slack\.url\n {2}the URL is http\n/);
  assert(!`${written}${http}`.includes("hush"));
});

Deno.test("wrong value: a mail address", async () => {
  assertEquals(
    await problemsOf({
      notify: [{ email: { smtp: "smtp://mail.example.com", from: "ops", to: [] } }],
    }),
    [
      "config.json:6:17  notify[0].email.from",
      '  "ops" is no mail address',
      '  fix: write it as "name@example.com" or "Name <name@example.com>"',
      "config.json:7:15  notify[0].email.to",
      "  the list is empty",
      "  fix: add one, or more",
    ].join("\n"),
  );
});

Deno.test("wrong value: an address to listen on", async () => {
  assertEquals(
    await problemsOf(`{"server": {"listen": "8420"}}`),
    [
      "config.json:1:23  server.listen",
      "  the text is no address to listen on",
      '  fix: write it as "127.0.0.1:8420", "[::1]:8420" or "unix:/run/bellhook.sock"',
    ].join("\n"),
  );
});

Deno.test("wrong value: an address that others reach, without auth", async () => {
  assertEquals(
    await problemsOf(`{"server": {"listen": "0.0.0.0:8420"}}`),
    [
      "config.json:1:23  server.listen",
      '  others than this machine could call, and anybody may without "auth"',
      '  fix: add "auth", or listen on "127.0.0.1:8420" or a socket',
    ].join("\n"),
  );
});

Deno.test("wrong value: a socket without a path", async () => {
  assertEquals(
    await problemsOf(`{"server": {"listen": "unix:"}}`),
    [
      "config.json:1:23  server.listen",
      "  the socket has no path",
      '  fix: write it as "unix:/run/bellhook.sock"',
    ].join("\n"),
  );
});

Deno.test("wrong value: a socket whose path is too long for Linux", async () => {
  assertEquals(
    await problemsOf({ server: { listen: `unix:/${"x".repeat(107)}` } }),
    [
      "config.json:3:15  server.listen",
      "  the socket's path has more than 107 bytes",
      '  fix: write it as "unix:/run/bellhook.sock"',
    ].join("\n"),
  );
});

Deno.test("wrong value: another database", async () => {
  assertEquals(
    await problemsOf(`{"storage": {"url": "postgres://localhost/bellhook"}}`),
    [
      "config.json:1:21  storage.url",
      "  the text names no SQLite database",
      '  fix: write it as "sqlite:bellhook.db" or "sqlite:/var/lib/bellhook/bellhook.db"',
    ].join("\n"),
  );
});

Deno.test("wrong value: a scope that is an object", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ scope: { venue: { id: 1 } } })] }),
    [
      "config.json:13:18  subscriptions[0].scope.venue",
      "  expected a text, a number, true or false, null or a list, found an object",
    ].join("\n"),
  );
});

Deno.test("wrong value: a scope that nothing can meet", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ scope: { venue: [] } })] }),
    [
      "config.json:13:18  subscriptions[0].scope.venue",
      "  the list is empty",
      "  fix: add one, or more",
    ].join("\n"),
  );
});

Deno.test("wrong value: a path with an empty name", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ match: { "guest..country": ["PH"] } })] }),
    [
      'config.json:13:9  subscriptions[0].match["guest..country"]',
      '  "guest..country" is no path: one of its names is empty',
      '  fix: write it as "status" or "guest.country"',
    ].join("\n"),
  );
});

Deno.test("wrong value: a condition without an operator", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ match: { total: [{}] } })] }),
    [
      "config.json:14:11  subscriptions[0].match.total[0]",
      "  the condition has no operator",
      '  fix: write one such as {">=": 1000} or {"exists": true}',
    ].join("\n"),
  );
});

Deno.test("wrong value: an operator that is none", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ match: { total: [{ "=>": 1 }] } })] }),
    [
      'config.json:15:13  subscriptions[0].match.total[0]["=>"]',
      '  the key "=>" is unknown',
      '  fix: there are ">", ">=", "<", "<=", "!=", "exists", "prefix", "suffix"',
    ].join("\n"),
  );
});

Deno.test("wrong value: an operand of the wrong type", async () => {
  assertEquals(
    await problemsOf({
      subscriptions: [entry({ match: { total: [{ ">": true }], status: { exists: 1 } } })],
    }),
    [
      'config.json:15:18  subscriptions[0].match.total[0][">"]',
      "  expected a number or a text, found true or false",
      "config.json:19:21  subscriptions[0].match.status.exists",
      "  expected true or false, found a number",
    ].join("\n"),
  );
});

Deno.test("wrong value: an example that nests deeper than receivers read", async () => {
  assertEquals(
    await problemsOf(`{"eventTypes": {"a": {"example": ${"[".repeat(101)}${"]".repeat(101)}}}}`),
    [
      "config.json:1:34  eventTypes.a.example",
      "  nested deeper than 100 levels",
    ].join("\n"),
  );
});

Deno.test("header: a reserved name is refused", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ headers: { "Content-Type": "text/plain" } })] }),
    [
      'config.json:13:9  subscriptions[0].headers["Content-Type"]',
      '  "Content-Type" is a header that Bellhook writes itself',
      "  fix: choose another name",
    ].join("\n"),
  );
});

Deno.test("header: the trio is refused in any spelling", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ headers: { "Webhook-Id": "1" } })] }),
    [
      'config.json:13:9  subscriptions[0].headers["Webhook-Id"]',
      '  "Webhook-Id" is a header that Bellhook writes itself',
      "  fix: choose another name",
    ].join("\n"),
  );
});

Deno.test("header: the profile's own are refused", async () => {
  assertEquals(
    await problemsOf({
      subscriptions: [
        entry({
          profile: "roostsync",
          secret: { env: "TEXT" },
          headers: { "x-roostsync-signature": "1" },
        }),
      ],
    }),
    [
      'config.json:14:9  subscriptions[0].headers["x-roostsync-signature"]',
      '  profile "roostsync" writes the header "x-roostsync-signature" itself',
      "  fix: take it out",
    ].join("\n"),
  );
});

Deno.test("header: what is no name is refused", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ headers: { "X Y": "1" } })] }),
    [
      'config.json:13:9  subscriptions[0].headers["X Y"]',
      '  "X Y" is no header name',
      '  fix: use letters, digits and "-"',
    ].join("\n"),
  );
});

Deno.test("header: a traceparent of one's own beside Bellhook's is refused", async () => {
  const own = { headers: { Traceparent: "00-0-0-01" } };
  assertEquals(
    await problemsOf({ subscriptions: [entry({ ...own, traceparent: true })] }),
    [
      "config.json:13:9  subscriptions[0].headers.Traceparent",
      '  "traceparent" is true, so that Bellhook writes the header "Traceparent"',
      "  fix: take one of the two out",
    ].join("\n"),
  );
  assertEquals(await problemsOf({ subscriptions: [entry(own)] }), "");
});

Deno.test("header: a name given twice in two spellings is refused", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ headers: { "X-A": "1", "x-a": "2" } })] }),
    [
      'config.json:14:9  subscriptions[0].headers["x-a"]',
      '  the header "x-a" is given twice',
      "  fix: keep one of them",
    ].join("\n"),
  );
});

Deno.test("header: a value with a line break is refused unquoted", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ headers: { "X-A": "hunter2\r\nX-B: 1" } })] }),
    [
      'config.json:13:16  subscriptions[0].headers["X-A"]',
      "  the value holds a control character or one outside ASCII",
      "  fix: use visible ASCII and spaces",
    ].join("\n"),
  );
});

Deno.test("header: a secret value with a line break is refused unquoted", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ headers: { "X-A": { env: "S" } } })] }, {
      env: { ...ENV, S: "hunter2\nX-B: 1" },
    }),
    [
      'config.json:13:16  subscriptions[0].headers["X-A"]',
      "  the value holds a control character or one outside ASCII",
      "  fix: use visible ASCII and spaces",
    ].join("\n"),
  );
});

Deno.test("header: a signing secret written into the file is refused unquoted", async () => {
  for (const value of ["whsec_aHVudGVyMg", "Bearer whsk_aHVudGVyMg"]) {
    assertEquals(
      await problemsOf({ subscriptions: [entry({ headers: { "X-Key": value } })] }),
      [
        'config.json:13:18  subscriptions[0].headers["X-Key"]',
        "  a secret is written into the file",
        '  fix: name where it is to be found: {"env": "NAME"}',
      ].join("\n"),
    );
  }
});

Deno.test("header: a value is a text or a reference", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ headers: { "X-A": 1 } })] }),
    [
      'config.json:13:16  subscriptions[0].headers["X-A"]',
      "  expected a text or an object, found a number",
    ].join("\n"),
  );
});
