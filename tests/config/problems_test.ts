import { assertEquals } from "@std/assert";
import { entry, problemsOf, withText } from "./a_reading.ts";

const ENTRY =
  `{"id": "one", "url": "https://example.com/hooks", "events": ["*"], "secret": {"env": "WHSEC"}}`;

Deno.test("config: a missing comma is told with its line and column", async () => {
  assertEquals(
    await problemsOf(`{
  "server": {}
  "storage": {}
}`),
    [
      "config.json:3:3",
      '  a "," is expected before this',
    ].join("\n"),
  );
});

Deno.test("config: every syntax error is told", async () => {
  assertEquals(
    await problemsOf(`{"server": {"listen": 'x'},
 "storage": }`),
    [
      "config.json:1:23",
      "  this is no JSON value",
      '  fix: put texts and keys in double quotes: "…"',
      "config.json:1:26",
      "  a value is expected here",
      "config.json:2:13",
      "  a value is expected here",
    ].join("\n"),
  );
});

Deno.test("config: an unfinished text is told where it begins", async () => {
  assertEquals(
    await problemsOf(`{"server": {"listen": "127}}`),
    [
      "config.json:1:23",
      "  the text has no end on this line",
      "  fix: close it with a double quote",
      "config.json:1:29",
      '  a "}" is expected here',
    ].join("\n"),
  );
});

Deno.test("config: an empty file is told of", async () => {
  assertEquals(
    await problemsOf(`// nothing
`),
    [
      "config.json:2:1",
      "  a value is expected here",
    ].join("\n"),
  );
});

Deno.test("config: nesting without end is told of instead of overflowing the stack", async () => {
  assertEquals(
    await problemsOf(`{"a": ${"[".repeat(100_000)}`),
    [
      "config.json:1:206",
      "  nested deeper than 200 levels",
    ].join("\n"),
  );
});

Deno.test("config: a root that is no object is told of", async () => {
  assertEquals(
    await problemsOf(`[]`),
    [
      "config.json:1:1",
      "  expected an object, found a list",
    ].join("\n"),
  );
});

Deno.test("config: an unknown key gets the nearest name", async () => {
  assertEquals(
    await problemsOf(`{
  "storage": { "keepDeliverd": "30d" }
}`),
    [
      "config.json:2:16  storage.keepDeliverd",
      '  the key "keepDeliverd" is unknown',
      '  fix: did you mean "keepDelivered"?',
    ].join("\n"),
  );
});

Deno.test("config: an unknown key that is near to none gets the list", async () => {
  assertEquals(
    await problemsOf(`{
  "storage": { "engine": "fast" }
}`),
    [
      "config.json:2:16  storage.engine",
      '  the key "engine" is unknown',
      '  fix: there are "url", "keepDelivered", "keepExhausted"',
    ].join("\n"),
  );
});

Deno.test("config: a key that differs in case alone is recognised", async () => {
  assertEquals(
    await problemsOf(withText(`"ratelimit": "10/s"`)),
    [
      "config.json:7:5  subscriptions[0].ratelimit",
      '  the key "ratelimit" is unknown',
      '  fix: did you mean "rateLimit"?',
    ].join("\n"),
  );
});

Deno.test("config: a repeated key is told with the first one's line", async () => {
  assertEquals(
    await problemsOf(`{
  "include": [],
  "include": []
}`),
    [
      "config.json:3:3  include",
      '  the key "include" is given twice, first on line 2',
      "  fix: keep one of them",
    ].join("\n"),
  );
});

Deno.test("config: a missing key is told where it should stand", async () => {
  assertEquals(
    await problemsOf(`{"subscriptions": [
  {"id": "one", "events": ["*"], "secret": {"env": "WHSEC"}}
]}`),
    [
      "config.json:2:3  subscriptions[0].url",
      '  the key "url" is missing',
      '  fix: add "url"',
    ].join("\n"),
  );
});

Deno.test("config: a wrong type says what is expected and found", async () => {
  assertEquals(
    await problemsOf(withText(`"timeout": 30`)),
    [
      "config.json:7:16  subscriptions[0].timeout",
      "  expected a text, found a number",
    ].join("\n"),
  );
});

Deno.test("config: a text where a list belongs is told how to become one", async () => {
  assertEquals(
    await problemsOf(`{"include": "customers/*.json"}`),
    [
      "config.json:1:13  include",
      "  expected a list, found a text",
      "  fix: put it in brackets: […]",
    ].join("\n"),
  );
});

Deno.test("config: a fraction where a whole number belongs is quoted by its digits", async () => {
  assertEquals(
    await problemsOf(withText(`"concurrency": 1.50`)),
    [
      "config.json:7:20  subscriptions[0].concurrency",
      "  expected a whole number, found 1.50",
    ].join("\n"),
  );
});

Deno.test("config: a number too great for the machine is too great", async () => {
  assertEquals(
    await problemsOf(withText(`"jitter": 1e999`)),
    [
      "config.json:7:15  subscriptions[0].jitter",
      "  1e999 is more than 1",
    ].join("\n"),
  );
});

Deno.test("config: a repeated id says where the first is", async () => {
  assertEquals(
    await problemsOf(`{"subscriptions": [
  ${ENTRY},
  ${ENTRY}
]}`),
    [
      "config.json:3:10  subscriptions[1].id",
      '  the id "one" is taken by another subscription, on line 2',
      "  fix: give this one an id of its own",
    ].join("\n"),
  );
});

Deno.test("config: a repeated id in another file says which", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ scope: { venue: 1 } })], include: ["more.json"] }, {
      path: "/etc/bellhook/config.json",
      files: { "/etc/bellhook/more.json": ENTRY },
    }),
    [
      "/etc/bellhook/more.json:1:8  id",
      '  the id "one" is taken by another subscription, in /etc/bellhook/config.json:4',
      "  fix: give this one an id of its own",
    ].join("\n"),
  );
});

Deno.test("config: two publishers of one name, and one token for two, are told of", async () => {
  assertEquals(
    await problemsOf(`{"auth": {
  "publishers": [
    {"name": "pms", "token": {"env": "TEXT"}},
    {"name": "pms", "token": {"env": "OTHER"}}
  ],
  "operators": [{"name": "ops", "token": {"env": "TEXT"}}]
}}`),
    [
      "config.json:4:14  auth.publishers[1].name",
      '  the name "pms" is taken by another, on line 3',
      "  fix: give this one a name of its own",
      "config.json:6:42  auth.operators[0].token",
      "  the token is another caller's as well, on line 3",
      "  fix: give each caller a token of its own",
    ].join("\n"),
  );
});

Deno.test("config: two operators of one name are told of", async () => {
  assertEquals(
    await problemsOf(`{"auth": {"operators": [
  {"name": "ops", "token": {"env": "TEXT"}},
  {"name": "ops", "token": {"env": "OTHER"}}
]}}`),
    [
      "config.json:3:12  auth.operators[1].name",
      '  the name "ops" is taken by another, on line 2',
      "  fix: give this one a name of its own",
    ].join("\n"),
  );
});

Deno.test("config: a token that fits into no header is refused", async () => {
  assertEquals(
    await problemsOf(`{"auth": {"operators": [{"name": "ops", "token": {"env": "TEXT"}}]}}`, {
      env: { TEXT: "first line\nsecond line" },
    }),
    [
      "config.json:1:50  auth.operators[0].token",
      "  the token holds a space, a control character or one outside ASCII",
      "  fix: choose one that fits into an Authorization header",
    ].join("\n"),
  );
});

Deno.test("config: a publisher's types must be declared", async () => {
  assertEquals(
    await problemsOf({
      eventTypes: { "booking.created": {} },
      auth: { publishers: [{ name: "pms", token: { env: "BARE" }, types: ["boking.created"] }] },
    }, { env: { BARE: "0123456789abcdef" } }),
    [
      "config.json:13:11  auth.publishers[0].types[0]",
      '  no event type "boking.created" is declared',
      '  fix: did you mean "booking.created"?',
    ].join("\n"),
  );
});
