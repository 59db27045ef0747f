/**
 * Whatever reads foreign bytes answers sanely, whatever they are. BELLHOOK_FUZZ=10 runs ten times as
 * many inputs as an ordinary run does, some 400 000 in all; of responses it is 200 000 in any run.
 */
import { assert, assertEquals } from "@std/assert";
import { Stamps } from "../../src/config/listing.ts";
import { readConfig } from "../../src/config/load.ts";
import { canonicalScalar, compact, compareNumbers } from "../../src/domain/json_text.ts";
import { compilePattern, patternsOverlap } from "../../src/domain/pattern.ts";
import { matches } from "../../src/domain/subscription.ts";
import { parseEvents } from "../../src/ingest/posted_event.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { type Reading, ResponseReader } from "../../src/transport/response_reader.ts";
import { http1Transport } from "../../src/transport/http1_transport.ts";
import { ResponseHeadCache } from "../../src/transport/response_head_cache.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";
import { anyJsonText } from "../support/any_json_text.ts";
import { anyText } from "../support/any_text.ts";
import { cpuMs } from "../support/cpu_time.ts";
import { fc } from "../support/properties.ts";
import { anyResponse } from "./any_response.ts";
import { startHostileServer } from "./hostile_server.ts";
import { hasNode, NodeParser, type NodeReading } from "./node_parser.ts";

const TIMES = Number(Deno.env.get("BELLHOOK_FUZZ") ?? 1);

/** A valid text with some pieces removed, repeated, or replaced by special characters. */
function spoilt(sound: string, words: readonly string[]): fc.Arbitrary<string> {
  const piece = fc.oneof(
    fc.constantFrom(...words),
    anyText({ maxLength: 4 }),
    anyJsonText(),
  );
  const edit = fc.record({
    at: fc.nat(sound.length),
    length: fc.nat(12),
    piece,
    copies: fc.boolean(),
  });
  return fc.array(edit, { minLength: 1, maxLength: 4 }).map((edits) =>
    edits.reduce((text, { at, length, piece, copies }) => {
      const from = Math.min(at, text.length);
      const cut = text.slice(from, from + length);
      return text.slice(0, from) + (copies ? cut + cut : piece) + text.slice(from + length);
    }, sound)
  );
}

const JSON_WORDS = ['"', "{", "}", "[", "]", ":", ",", "\\", "\\u0000", "\\ud800", "\0", "\ufeff"]
  .concat(["null", "true", "-", "1e999", "1E", "0x1", "__proto__", '"constructor"', "\u2028"]);

const EVENT =
  `{"id":"e1","type":"booking.created","timestamp":"2024-03-15T10:30:00Z","scope":{"venue":12},` +
  `"data":{"total":1.10,"nested":[1,2,{"a":"\\n"}]},"metadata":null}`;
const CLOUD_EVENT =
  `{"specversion":"1.0","id":"e1","source":"/a","type":"t","subject":"s","time":"2024-03-15T10:30:00Z",` +
  `"datacontenttype":"application/json","extension":7,"data":{"total":1.10}}`;

Deno.test("fuzz: any text is parsed as events, or refused with a reason", () => {
  const text = fc.oneof(
    anyText({ maxLength: 60 }),
    anyJsonText(),
    spoilt(EVENT, JSON_WORDS),
    spoilt(`[${EVENT},${EVENT}]`, JSON_WORDS),
    spoilt(CLOUD_EVENT, JSON_WORDS),
  );
  fc.assert(
    fc.property(text, fc.constantFrom("events", "cloudevents"), (text, format) => {
      const parsed = parseEvents(text, format);
      switch (parsed.kind) {
        case "malformed":
          assert(parsed.message.length > 0);
          break;
        case "invalid":
          assert(parsed.faults.length > 0 && parsed.faults.length <= 200);
          assert(parsed.faults.every(({ message }) => message.length > 0));
          break;
        case "parsed":
          for (const event of parsed.events) {
            // deno-lint-ignore no-control-regex
            assert(!/[\s\x00-\x1f\x7f]/.test(event.type + (event.id ?? "")));
            assert(event.occurredAt === undefined || Number.isFinite(event.occurredAt));
            assertEquals(compact(event.data), event.data);
            for (const value of event.scope.values()) {
              assert(typeof JSON.parse(value) !== "object" || value === "null");
            }
          }
      }
    }),
    { numRuns: 12_000 * TIMES },
  );
});

const CONFIG = `{
  // comments are allowed
  "server": { "listen": "127.0.0.1:8420", "maxBody": "256KiB" },
  "auth": { "publishers": [{ "name": "a", "token": { "env": "TOKEN" }, "types": ["a.*"] }] },
  "delivery": { "jitter": 0.1, "retry": ["1m", "5m"] },
  "notify": [{ "command": ["/bin/true"], "on": ["config.rejected"] }],
  "eventTypes": { "a.b": { "example": { "total": 1.10 } } },
  "profiles": { "own": { "extends": "standard", "headers": { "X-Type": "{type}" } } },
  "subscriptions": [
    { "id": "s", "url": "https://receiver.example/", "events": ["a.*"], "secret": { "env": "SECRET" },
      "profile": "own", "scope": { "venue": [1, "x"] }, "match": { "total": [{ ">=": 1000 }] },
      "headers": { "X-Key": { "env": "KEY" } }, "rateLimit": "10/s", "timeout": "5s", },
  ],
}`;

Deno.test("fuzz: any text is a valid config, or has problems with positions", async () => {
  const words = [
    ...JSON_WORDS,
    "//",
    "/*",
    "*/",
    '"extends": "own",',
    '"10.0.0.0/8"',
    '"1s"',
    '"*"',
  ];
  const text = fc.oneof(
    { weight: 1, arbitrary: anyText({ maxLength: 60 }) },
    { weight: 1, arbitrary: anyJsonText() },
    { weight: 4, arbitrary: spoilt(CONFIG, words) },
  );
  const values: Record<string, string> = {
    TOKEN: "a-token-of-some-length",
    SECRET: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
    KEY: "key",
  };
  const sources = {
    env: (name: string) => Object.hasOwn(values, name) ? values[name] : undefined,
    file: () => Promise.reject(new Deno.errors.NotFound()),
    credential: () => Promise.resolve(undefined),
  };
  const files = {
    read: () => Promise.resolve("[]"),
    list: (folders: readonly string[]) =>
      Promise.resolve(folders.map(() => ({ names: [], stamps: Stamps.of([]) }))),
    stamps: (paths: readonly string[]) =>
      Promise.resolve(Stamps.of(paths.map(() => ({ isFolder: false })))),
    realPath: (path: string) => Promise.resolve(path),
  };
  await fc.assert(
    fc.asyncProperty(text, async (text) => {
      const loaded = await readConfig({ path: "/config.json", text, sources, files });
      if (loaded.ok) return;
      assert(loaded.problems.length > 0);
      for (const { message, path, line } of loaded.problems) {
        // deno-lint-ignore no-control-regex
        assert(!/[\x00-\x1f\x7f-\x9f]/.test(message + path), message);
        assert(
          line === undefined || line >= 1 && line <= text.split(/\r\n|[\r\n\u2028\u2029]/).length,
          `${line}`,
        );
      }
    }),
    { numRuns: 2_000 * TIMES },
  );
});

Deno.test("fuzz: patterns match what their stars allow, and overlap if they share a text", () => {
  const letters = (...all: string[]) => fc.array(fc.constantFrom(...all), { maxLength: 8 });
  const pattern = letters("a", "b", "*", "*").map((all) => all.join(""));
  const text = letters("a", "b").map((all) => all.join(""));
  fc.assert(
    fc.property(pattern, pattern, text, (one, other, text) => {
      const fits = compilePattern(one).matches(text);
      assertEquals(fits, new RegExp(`^${one.replaceAll("*", "[ab]*")}$`).test(text));
      assertEquals(patternsOverlap(one, other), patternsOverlap(other, one));
      if (fits && compilePattern(other).matches(text)) assert(patternsOverlap(one, other));
    }),
    { numRuns: 5_500 * TIMES },
  );
});

Deno.test("fuzz: any bytes from a receiver give an outcome", async () => {
  let answer = new Uint8Array();
  await using server = await startHostileServer(async (peer) => {
    await peer.request();
    await peer.write(answer);
    peer.halfClose();
    await peer.gone();
    peer.close();
  });
  const transport = http1Transport({ clock: systemClock });
  const latin1 = (text: string) => Uint8Array.from(text, (one) => one.charCodeAt(0));
  const words = ["\r\n", "\n", "\r", "\0", ":", "HTTP/1.1 100 \r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"]
    .concat(["Transfer-Encoding: chunked\r\n", "Content-Length: 9\r\n", "0\r\n\r\n", "\xff", "-1"]);
  const sound =
    "HTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 100 }),
    spoilt(sound, words).map(latin1),
    spoilt(chunked, words).map(latin1),
  );
  await fc.assert(
    fc.asyncProperty(bytes, async (bytes) => {
      answer = bytes;
      const outcome = await transport.send({
        url: server.url,
        headers: [],
        body: new TextEncoder().encode("{}"),
        deadlineMs: 5_000,
        allowNetworks: ["127.0.0.1"],
        pool: "a",
      });
      if (outcome.kind === "failed") {
        assert(["protocol", "reset"].includes(outcome.error.kind), outcome.error.message);
      } else assert(outcome.status >= 200 && outcome.status <= 999, `${outcome.status}`);
    }),
    { numRuns: 500 * TIMES },
  );
  await transport.close();
});

/** Responses that we refuse and Node accepts or waits for, and why that is correct. */
const STRICTER = [
  "it does not begin with HTTP/1", // Node takes RTSP, ICE, HTTP/0.9 and 2.0
  "its version is neither 1.0 nor 1.1",
  "its status is below 100",
  "it changes the protocol unasked", // Node's client is the one to refuse a 101
  "its status line holds a control character",
  "a CR comes without an LF", // Node skips a second CR after the status line
  "an interim answer announces a body", // Node skips it for some statuses and not for others
  "its Transfer-Encoding can't be read", // such as "chunked" amid a list, or with a tab
  "it has both Content-Length and Transfer-Encoding", // the latter empty
  "its Content-Length is no number",
  "a chunk's size is too large", // from 2^60 on
  "a chunk's extension can't be read", // without a name or a value
  "its trailers say anew where it ends",
].map((fault) => `the answer is not valid HTTP: ${fault}`);

/**
 * Where Node refuses what we take: an interim answer that says "close", or is of HTTP/1.0, before
 * the final one. Where that ends is as clear as ever, and it is the answer that was waited for.
 */
const LAXER = "Data after `Connection: close`";

const node = await hasNode();

Deno.test({
  name: "fuzz: no response ends elsewhere for us than for Node, nor passes where Node refuses it" +
    (node ? "" : " (not run: no Node with llhttp 9 here)"),
  ignore: !node,
  async fn() {
    await using parser = new NodeParser();
    const [first] = fc.sample(fc.integer(), 1);
    // Node parses one batch while the next is generated.
    let compared = Promise.resolve();
    for (let batch = 0; batch < 200 * Math.max(1, TIMES / 10); batch++) {
      const ours = Array.from(
        { length: 1_000 },
        (_, i) => ourReading(anyResponse(first! + 1_000 * batch + i)),
      );
      await compared;
      compared = parser.read(ours).then((theirs) => assertAgreement(ours, theirs));
    }
    await compared;
  },
});

function assertAgreement(ours: readonly OurReading[], theirs: readonly NodeReading[]): void {
  for (const [i, our] of ours.entries()) {
    const problem = disagreement(our, theirs[i]!);
    assert(problem === undefined, `${problem}: ${JSON.stringify(latin1(our.bytes))}`);
  }
}

Deno.test("fuzz: a response gives the same result in any split", () => {
  const [first] = fc.sample(fc.integer(), 1);
  for (let i = 0; i < 20_000 * TIMES; i++) {
    const bytes = anyResponse(first! + i);
    const atOnce = ourReading(bytes);
    const inPieces = new ResponseReader(new ResponseHeadCache());
    let reading: Reading = "unfinished";
    for (let at = 0; reading === "unfinished" && at < bytes.length; at++) {
      reading = inPieces.take(bytes.subarray(at, at + 1));
    }
    if (reading === "unfinished") inPieces.end({ cleanly: true });
    const { reader } = atOnce;
    assert(inPieces.fault === reader.fault, latin1(bytes));
    assert(inPieces.head?.status === reader.head?.status, latin1(bytes));
    assert(latin1(inPieces.body()) === latin1(reader.body()), latin1(bytes));
    assert(inPieces.keepsConnection === reader.keepsConnection, latin1(bytes));
  }
});

interface OurReading {
  readonly bytes: Uint8Array;
  readonly kind: "whole" | "cut" | "refused";
  readonly reader: ResponseReader;
  readonly end: number;
}

/** Of all answers together, as a transport's are: what one leaves behind must change no other. */
const headCache = new ResponseHeadCache();

function ourReading(bytes: Uint8Array): OurReading {
  const reader = new ResponseReader(headCache);
  let reading = reader.take(bytes);
  const end = bytes.length - reader.surplusBytes;
  if (reading === "unfinished") reading = reader.end({ cleanly: true });
  const kind = reading === "malformed" ? "refused" : reading === "unfinished" ? "cut" : "whole";
  return { bytes, kind, reader, end };
}

function disagreement(our: OurReading, their: NodeReading): string | undefined {
  const { kind, reader, end } = our;
  switch (kind) {
    case "refused": {
      if (their.kind === "refused" || STRICTER.includes(reader.fault)) return undefined;
      return `refused without need: ${reader.fault}`;
    }
    case "cut":
      // Node refuses some heads before they are complete; both refuse them.
      return their.kind === "whole" ? "waits for more than is to come" : undefined;
    case "whole": {
      if (their.kind === "refused" && their.why === LAXER) return undefined;
      if (their.kind !== "whole") {
        return `taken, where Node ${their.kind === "cut" ? "waits" : `says ${their.why}`}`;
      }
      if (end !== their.end) return `ends at ${end}`;
      if (reader.head!.status !== their.status) return "has another status";
      if (latin1(reader.body()) !== their.body) return "has another body";
      const headers = reader.head!.headers.flat().map((text) => text.replace(/[ \t]+$/, ""));
      return headers.every((text, i) => text === their.headers[i]) ? undefined : "other headers";
    }
  }
}

function latin1(bytes: Uint8Array): string {
  return String.fromCharCode(...bytes);
}

Deno.test("no text of a body's size takes long to parse", () => {
  const keys = (count: number, value: string) =>
    Array.from({ length: count }, (_, i) => `"${i.toString(36)}":${value}`).join(",");
  const zeros = "0".repeat(250_000);
  const bodies = {
    "30 000 unknown members": `{"type":"t","data":1,${keys(30_000, "0")}}`,
    "30 000 members of a scope": `{"type":"t","data":1,"scope":{${keys(30_000, "0")}}}`,
    "30 000 wrong members of a scope": `{"type":"t","data":1,"scope":{${keys(30_000, "[]")}}}`,
    "a thousand events of forty unknown members": `[${
      Array(1_000).fill(`{${keys(40, "0")}}`).join(",")
    }]`,
    "one long name": `{"type":"t","data":1,"${"x".repeat(250_000)}":1}`,
    "one long id": `{"type":"t","data":1,"id":"${"x ".repeat(125_000)}"}`,
    "escapes alone": `{"type":"t","data":[${Array(40_000).fill('"\\n"').join(",")}]}`,
    "spaces alone": `{"type":"t","data":[${" 1 ,".repeat(60_000)}1]}`,
  };
  for (const [name, body] of Object.entries(bodies)) {
    for (const format of ["events", "cloudevents"] as const) {
      const parsed = quickly(name, () => parseEvents(body, format));
      if (parsed.kind === "invalid") assert(JSON.stringify(parsed).length < 64 * 1024, name);
    }
  }
  quickly("a long number", () => canonicalScalar(`1${zeros}1`));
  quickly("two long numbers", () => compareNumbers(`1${zeros}1`, `1${zeros}2`));
  quickly("many stars", () => compilePattern("*a".repeat(500) + "*b").matches("a".repeat(256)));

  const condition = { path: "a.b", anyOf: [{ kind: "equals" as const, value: '"x"' }] };
  const subscription = aSubscription({ match: [condition] });
  const event = anEvent({ data: `{"a":[${Array(20_000).fill('{"b":1.50}').join(",")}]}` });
  quickly("conditions on long data", () => {
    for (let i = 0; i < 20; i++) {
      const match = matches(subscription, event);
      assert(!match.matches && match.why.length < 200);
    }
  });
});

/** Some of these took half a minute once: the time is for a machine that is slow. */
function quickly<T>(what: string, action: () => T): T {
  const startedMs = cpuMs();
  const result = action();
  const tookMs = cpuMs() - startedMs;
  assert(tookMs < 2_500, `${what} took ${tookMs} ms`);
  return result;
}
