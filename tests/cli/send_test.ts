import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { FakeClock } from "../support/fake_clock.ts";
import { freePort } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aDirectory, type Around, finish, start } from "./captured.ts";

const RECEIPT = { id: "evt_1", deliveries: [{ id: "dlv_1", subscription: "guests" }] };

/** Runs `send` against a server that accepts, and says what was posted and printed. */
async function send(args: readonly string[], around: Around = {}) {
  await using server = startRawServer({ status: 202, body: JSON.stringify(RECEIPT), close: true });
  const ended = await finish(["send", "--url", server.url, ...args], around);
  return { ...ended, posted: server.requests[0]?.text() };
}

Deno.test("send: the event goes out as it was typed, every digit of it", async () => {
  const { exitCode, posted } = await send([
    ...["booking.created", "--data", `{ "total": 1.10, "id": 9007199254740993 }`],
    ...["--scope", "venue_id=v1", "account_id=7", "--id", "b-1"],
    ...["--timestamp", "2024-03-15T10:30:00Z", "--metadata", "[1e3]"],
  ]);
  assertEquals(exitCode, 0);
  assertEquals(
    posted,
    `{"id":"b-1","type":"booking.created","timestamp":"2024-03-15T10:30:00Z",` +
      `"scope":{"venue_id":"v1","account_id":7},` +
      `"data":{"total":1.10,"id":9007199254740993},"metadata":[1e3]}`,
  );
});

Deno.test("send: the type stands before or after what it is about, which goes in one piece or several", async () => {
  const spellings = [
    ["x", "--scope", "a=1", "--scope", "b=2"],
    ["x", "--scope", "a=1", "b=2"],
    ["--scope", "a=1", "--scope", "b=2", "x"],
    ["--scope", "a=1", "b=2", "x"],
    ["--scope", "a=1", "x", "b=2"],
    ["--scope=a=1", "b=2", "--data", "{}", "x"],
  ];
  for (const args of spellings) {
    const { exitCode, posted } = await send(args);
    const expected = `{"type":"x","scope":{"a":1,"b":2},"data":{}}`;
    assertEquals([exitCode, posted], [0, expected], args.join(" "));
  }
});

Deno.test("send: data comes from a file or from standard input as well", async () => {
  await using directory = await aDirectory({ "data.json": `{"a": 1}` });
  const fromFile = await send(["x", "--data", `@${directory.path}/data.json`]);
  assertEquals(fromFile.posted, `{"type":"x","data":{"a":1}}`);
  const fromStdin = await send(["x", "--data", "-"], { stdin: `{"b": 2}\n` });
  assertEquals(fromStdin.posted, `{"type":"x","data":{"b":2}}`);
});

Deno.test("send: --file posts whole events as they stand", async () => {
  const events = `[ {"type": "a", "data": 1.0} ]`;
  await using directory = await aDirectory({ "events.json": events });
  const { posted } = await send(["--file", `${directory.path}/events.json`]);
  assertEquals(posted, events);
});

Deno.test("send: a byte order mark before JSON is not part of it", async () => {
  const event = `{"type": "a", "data": {}}`;
  await using directory = await aDirectory({ "bom.json": `\ufeff${event}` });
  const file = `${directory.path}/bom.json`;
  assertEquals((await send(["--file", file])).posted, event);
  assertEquals(
    (await send(["x", "--data", `@${file}`])).posted,
    `{"type":"x","data":{"type":"a","data":{}}}`,
  );
  assertEquals((await send(["--file", "-"], { stdin: `\ufeff${event}` })).posted, event);
});

Deno.test("send: the receipt is printed, or is one JSON object", async () => {
  assertEquals((await send(["x"])).stdout, "evt_1\n  dlv_1  guests\n");
  assertEquals((await send(["x", "--json"])).stdout, `${JSON.stringify(RECEIPT)}\n`);
});

Deno.test("send: what is no event is refused before anything is sent", async () => {
  const wrong: [string[], string][] = [
    [[], "needs a type"],
    [["x", "--data", "{"], "--data is no JSON"],
    [["x", "--data", "@/none.json"], `can't read "/none.json"`],
    [["x", "--scope", "venue"], "name=value"],
    [["--scope", "a=1", "--scope", "venue", "x"], `--scope "venue"`],
    [["--scope", "a=1", "b=2"], "needs a type beside what --scope took (a=1 b=2)"],
    [["x", "y"], `one type, and these are several: "x", "y"`],
    [["x", "venue=v1"], "--scope"],
    [["--scope", "a=1", "--file", "events.json"], "leave --scope out"],
    [["x", "--file", "events.json"], "leave a type out"],
    [["--file", "events.json", "--id", "1"], "leave --id out"],
  ];
  for (const [args, words] of wrong) {
    const { exitCode, stderr, posted } = await send(args);
    assertEquals([exitCode, posted], [2, undefined], args.join(" "));
    assertStringIncludes(stderr, words);
  }
});

Deno.test("send --wait: posts again while the daemon is not there or has no room, under one key", async () => {
  const [port, clock] = [freePort(), new FakeClock()];
  const url = `http://127.0.0.1:${port}`;
  const sending = start(["send", "x", "--url", url, "--wait", "10m"], { clock });
  let exitCode: number | undefined;
  void sending.exit.then((code) => exitCode = code);
  await until(() => clock.advance(50) ?? clock.monotonicMs() > 2_000);
  const replies = [
    { status: 503, headers: [["retry-after", "7"]] as const, body: "{}" },
    { status: 429, body: "{}" },
    { status: 202, body: JSON.stringify(RECEIPT) },
  ];
  const arrivals: number[] = [];
  await using server = startRawServer((_request, index) => {
    arrivals.push(clock.monotonicMs());
    return { close: true, ...replies[index]! };
  }, { port });
  await until(() => clock.advance(50) ?? exitCode !== undefined);
  assertEquals([exitCode, sending.stderr], [0, ""]);
  assert(arrivals[1]! - arrivals[0]! >= 7_000, `after ${arrivals[1]! - arrivals[0]!} ms`);
  const keys = server.requests.map((request) => request.header("idempotency-key"));
  assertEquals([keys.length, new Set(keys).size], [3, 1]);
});

Deno.test("send --wait: gives up after that time, and at once where trying again won't help", async () => {
  const none = await finish([
    "send",
    "x",
    "--url",
    `http://127.0.0.1:${freePort()}`,
    "--wait",
    "1ms",
  ]);
  assertEquals(none.exitCode, 4);
  assertStringIncludes(none.stderr, "no daemon answers");
  await using server = startRawServer({ status: 422, body: `{"detail": "no event"}`, close: true });
  const refused = await finish(["send", "x", "--url", server.url, "--wait", "10m"]);
  assertEquals([refused.exitCode, server.requests.length], [2, 1]);
});
