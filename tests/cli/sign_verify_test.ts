import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { createHmac } from "node:crypto";
import { aDirectory, finish } from "./captured.ts";

const SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
const EVENT = `{"id":"evt_01TEST","type":"booking.created","timestamp":"2024-03-15T10:30:00Z",` +
  `"scope":{"property_id":7},"data":{"total":1.10,"id":9007199254740993}}`;
const AT = ["--at", "2024-03-15T10:40:00Z"];
const around = (stdin = "") => ({ environment: { S: SECRET, OLD: "the one before" }, stdin });

Deno.test("sign: an event comes out as the request that would be sent", async () => {
  const { exitCode, stdout } = await finish(
    ["sign", "--profile", "roostsync", "--secret-env", "S", "--event", "-", ...AT],
    around(EVENT),
  );
  const body = `{"event":"booking.created","timestamp":"2024-03-15T10:30:00Z",` +
    `"data":{"total":1.10,"id":9007199254740993},"property_id":7}`;
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  assertEquals(exitCode, 0);
  const [head, sent] = stdout.split("\n\n") as [string, string];
  assertEquals(sent, body);
  assertEquals(head.split("\n").slice(0, 5).filter((line) => !line.startsWith("User-Agent")), [
    "Content-Type: application/json",
    `X-RoostSync-Signature: sha256=${signature}`,
    "webhook-id: evt_01TEST",
    "webhook-timestamp: 1710499200",
  ]);
});

Deno.test("sign: --json is one object of headers and body", async () => {
  const { stdout } = await finish(
    ["sign", "--secret-env", "S", "--event", "-", "--json", ...AT],
    around(EVENT),
  );
  assertEquals(stdout.trim().split("\n").length, 1);
  const { headers, body } = JSON.parse(stdout);
  assertMatch(headers["webhook-signature"], /^v1,/);
  assertStringIncludes(body, "9007199254740993");
});

Deno.test("sign: a body is signed byte for byte, and its headers printed alone", async () => {
  const body = ` {"any": "thing"} \n`;
  await using directory = await aDirectory({ "body.json": body });
  const { exitCode, stdout } = await finish([
    ...["sign", "--profile", "bookingshake", "--secret-env", "S", "--id", "evt_9", ...AT],
    ...["--body", `${directory.path}/body.json`],
  ], around());
  assertEquals(exitCode, 0);
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  assertStringIncludes(stdout, `Bookingshake-Signature: ${signature}\n`);
  assertStringIncludes(stdout, "webhook-id: evt_9\n");
  assert(!stdout.includes("thing"));
});

Deno.test("sign: settings that a profile's body needs are asked for and taken", async () => {
  const args = ["sign", "--profile", "booking-experts", "--event", "-", "--json"];
  const event = `{"type":"reservation:created","data":{}}`;
  const without = await finish(args, around(event));
  assertEquals(without.exitCode, 2);
  assertStringIncludes(without.stderr, "--setting subscription_id=");
  const given = await finish([...args, "--setting", "subscription_id=77"], around(event));
  assertEquals(given.exitCode, 0);
  assertStringIncludes(JSON.parse(given.stdout).body, `"subscription_id":77,`);
});

Deno.test("sign: says where a profile has no such event, and signs all the same", async () => {
  const { exitCode, stderr } = await finish(
    ["sign", "--profile", "bookingsync", "--secret-env", "S", "--event", "-"],
    around(EVENT),
  );
  assertEquals(exitCode, 0);
  assertStringIncludes(stderr, `profile "bookingsync" has no event "booking.created"`);
});

Deno.test("sign: what can't be signed ends with exit code 2 and the reason", async () => {
  const sign = (args: string[], stdin = EVENT) => finish(["sign", ...args], around(stdin));
  for (
    const [args, stdin, message] of [
      [["--event", "-"], EVENT, "--secret-env"],
      [["--event", "-", "--secret-env", "NONE"], EVENT, "NONE holds no secret"],
      [["--secret-env", "S"], EVENT, "either an event"],
      [["--secret-env", "S", "--event", "-", "--body", "-"], EVENT, "either an event"],
      [["--secret-env", "S", "--event", "-"], "nonsense", "no JSON"],
      [["--secret-env", "S", "--event", "-"], `{"type":"a"}`, "data: is missing"],
      [["--secret-env", "S", "--event", "-"], `[${EVENT}]`, "one at a time"],
      [["--secret-env", "S", "--event", "/nowhere"], EVENT, "/nowhere"],
      [["--secret-env", "S", "--event", "-", "--at", "noon"], EVENT, "RFC 3339"],
      [["--secret-env", "OLD", "--event", "-"], EVENT, "whsec_"],
      [["--secret-env", "S", "--profile", "rostsync", "--event", "-"], EVENT, "did you mean"],
      [
        ["--secret-env", "S", "--profile", "bookingscheduler", "--body", "-"],
        "nonsense",
        "can't sign this",
      ],
    ] as const
  ) {
    const { exitCode, stdout, stderr } = await sign([...args], stdin);
    assertEquals(exitCode, 2, args.join(" "));
    assertEquals(stdout, "");
    assertStringIncludes(stderr, message);
  }
});

/** What `sign` prints for the event, as the file of a captured request. */
async function signedRequest(profile: string): Promise<string> {
  const { stdout } = await finish(
    ["sign", "--profile", profile, "--secret-env", "S", "--event", "-", ...AT],
    around(EVENT),
  );
  return stdout;
}

function verify(args: readonly string[], request = "") {
  return finish(["verify", "--secret-env", "S", "--request", "-", ...AT, ...args], around(request));
}

for (
  const profile of ["standard", "bookingsync", "bookingshake", "bookingscheduler", "roostsync"]
) {
  Deno.test(`verify: what sign prints for ${profile} is good`, async () => {
    const { exitCode, stdout } = await verify(
      ["--profile", profile],
      await signedRequest(profile),
    );
    assertEquals(exitCode, 0);
    assertMatch(stdout, /^signature good: .*webhook-signature\n$/);
  });
}

Deno.test("verify: a request line and CR LF are as good, and the body keeps its line ends", async () => {
  const body = `{"a": 1}\r\n\r\nx`;
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  const request = `POST /hook HTTP/1.1\r\nHost: a.example\r\n` +
    `Bookingshake-Signature: ${signature}\r\n\r\n${body}`;
  assertEquals((await verify(["--profile", "bookingshake"], request)).exitCode, 0);
});

Deno.test("verify: headers and body come from files as well, bytes as they are", async () => {
  await using directory = await aDirectory();
  const body = new Uint8Array([0xef, 0xbb, 0xbf, 0x7b, 0xff, 0x7d]);
  const signature = createHmac("sha256", SECRET).update(body).digest("hex");
  await Deno.writeFile(`${directory.path}/body`, body);
  await Deno.writeTextFile(`${directory.path}/head`, `bookingshake-signature:${signature}\n`);
  const { exitCode } = await finish([
    ...["verify", "--profile", "bookingshake", "--secret-env", "S"],
    ...["--headers", `${directory.path}/head`, "--body", `${directory.path}/body`],
  ], around());
  assertEquals(exitCode, 0);
});

/** A request of BookingSync's format that was signed over strict Base64. */
const STRICT = (() => {
  const body = `{"account_id":1,"event":"client_created","resource":{}}`;
  const signature = createHmac("sha1", SECRET).update(btoa(body)).digest("hex");
  return `X-Content-Signature: ${signature}\n\n${body}`;
})();

Deno.test("verify: a wrong signature is explained, with exit code 1", async () => {
  const { exitCode, stdout } = await verify(["--profile", "bookingsync"], STRICT);
  assertEquals(exitCode, 1);
  assertMatch(stdout, /^signature not good: .*Base64 without line breaks.*encode64/);
});

Deno.test("verify: --json tells scripts the mistake", async () => {
  const { exitCode, stdout } = await verify(["--profile", "bookingsync", "--json"], STRICT);
  assertEquals(exitCode, 1);
  const { ok, header, mistake, checked, expected } = JSON.parse(stdout);
  assertEquals([ok, header, mistake], [false, "X-Content-Signature", "strict-base64"]);
  assert(checked.includes("strict-base64"));
  assertEquals(expected, undefined);
});

Deno.test("verify: the right signature shows only when it is asked for, the secret never", async () => {
  const body = STRICT.split("\n\n")[1]!;
  const right = createHmac("sha1", SECRET).update(
    `${btoa(body).slice(0, 60)}\n${btoa(body).slice(60)}\n`,
  ).digest("hex");
  const quiet = await verify(["--profile", "bookingsync"], STRICT);
  const shown = await verify(["--profile", "bookingsync", "--show-expected"], STRICT);
  assert(!(quiet.stdout + quiet.stderr).includes(right));
  assertStringIncludes(shown.stdout, `expected X-Content-Signature: ${right}\n`);
  assert(!(shown.stdout + shown.stderr).includes(SECRET));
});

Deno.test("verify: what nothing explains comes with the list of what was tried", async () => {
  const { exitCode, stdout, stderr } = await verify(
    ["--profile", "roostsync"],
    `X-RoostSync-Signature: sha256=${"ab".repeat(32)}\n\n{}`,
  );
  assertEquals(exitCode, 1);
  assertStringIncludes(stdout, "nothing known explains it");
  assertMatch(stderr, /^tried: .*pretty-printed/);
});

Deno.test("verify: the previous secret's work is known by its name", async () => {
  const signature = createHmac("sha256", "the one before").update("{}").digest("hex");
  const { exitCode, stdout } = await verify(
    ["--profile", "bookingshake", "--previous-secret-env", "OLD", "--json"],
    `Bookingshake-Signature: ${signature}\n\n{}`,
  );
  assertEquals(exitCode, 1);
  assertEquals(JSON.parse(stdout).mistake, "previous-secret");
});

Deno.test("verify: a captured request is stale by now, and --at is pointed to", async () => {
  const request = await signedRequest("standard");
  const { exitCode, stdout, stderr } = await finish(
    ["verify", "--secret-env", "S", "--request", "-"],
    around(request),
  );
  assertEquals(exitCode, 1);
  assertStringIncludes(stdout, "webhook-timestamp");
  assertStringIncludes(stderr, "--at");
});

Deno.test("verify: what can't be judged ends with exit code 2 and the reason", async () => {
  for (
    const [args, stdin, message] of [
      [["--request", "-"], "A: b\n\n{}", "--secret-env"],
      [["--secret-env", "NONE", "--request", "-"], "A: b\n\n{}", "NONE holds no secret"],
      [["--secret-env", "S"], "", "--headers and --body"],
      [["--secret-env", "S", "--headers", "-"], "", "--headers and --body"],
      [["--secret-env", "S", "--headers", "-", "--body", "-"], "", "--request -"],
      [["--secret-env", "S", "--request", "-"], "A: b\n{}", "no empty line"],
      [["--secret-env", "S", "--request", "-"], "A: b\nnonsense\n\n{}", "line 2"],
      [["--secret-env", "S", "--subscription", "x", "--request", "-"], "", "leave --secret-env"],
    ] as const
  ) {
    const { exitCode, stdout, stderr } = await finish(["verify", ...args], around(stdin));
    assertEquals(exitCode, 2, args.join(" "));
    assertEquals(stdout, "");
    assertStringIncludes(stderr, message);
  }
});

const CONFIG = JSON.stringify({
  storage: { url: "sqlite:bellhook.db" },
  subscriptions: [{
    id: "guests",
    url: "https://receiver.example/hook",
    events: ["booking.*"],
    profile: "roostsync",
    secret: { env: "S" },
    headers: { "X-Token": { env: "OLD_TOKEN" } },
    rename: { "booking.made": "booking.created" },
  }],
});

Deno.test("sign and verify: a subscription of the config file gives all they need", async () => {
  await using directory = await aDirectory({ "config.json": CONFIG });
  const environment = { S: SECRET, OLD_TOKEN: "a token of theirs" };
  const config = ["-c", `${directory.path}/config.json`, "--subscription", "guests", ...AT];
  const event = EVENT.replace("booking.created", "booking.made");
  const sent = await finish(["sign", "--event", "-", ...config], { environment, stdin: event });
  assertEquals(sent.exitCode, 0, sent.stderr);
  assertStringIncludes(sent.stdout, `"event":"booking.created"`);
  assertStringIncludes(sent.stdout, "X-Token: [redacted]");
  assert(!sent.stdout.includes("a token of theirs"));
  const judged = await finish(
    ["verify", "--request", "-", ...config],
    { environment, stdin: sent.stdout },
  );
  assertEquals(judged.exitCode, 0, judged.stdout);
});

Deno.test("sign: says when a subscription would not get the event", async () => {
  await using directory = await aDirectory({ "config.json": CONFIG });
  const { exitCode, stderr } = await finish(
    ["sign", "-c", `${directory.path}/config.json`, "--subscription", "guests", "--event", "-"],
    {
      environment: { S: SECRET, OLD_TOKEN: "t" },
      stdin: EVENT.replace("booking.created", "guest.checkin"),
    },
  );
  assertEquals(exitCode, 0);
  assertStringIncludes(stderr, "would not get the event");
});

Deno.test("sign and verify: a subscription that is not there, or a config that is not valid", async () => {
  await using directory = await aDirectory({ "config.json": CONFIG, "bad.json": "{" });
  const environment = { S: SECRET, OLD_TOKEN: "t" };
  const sign = (config: string, id: string) =>
    finish(
      ["sign", "-c", `${directory.path}/${config}`, "--subscription", id, "--event", "-"],
      { environment, stdin: EVENT },
    );
  const unknown = await sign("config.json", "guest");
  assertEquals(unknown.exitCode, 3);
  assertStringIncludes(unknown.stderr, `did you mean "guests"?`);
  assertEquals((await sign("bad.json", "guests")).exitCode, 2);
});
