import { assert, assertEquals } from "@std/assert";
import { halfCharacterIn } from "../../src/domain/half_characters.ts";
import { compact, MAX_DEPTH } from "../../src/domain/json_text.ts";
import { parseEvents, type PostedEvent, postedEventSchema } from "../../src/ingest/posted_event.ts";
import { fc } from "../support/properties.ts";

function oneEvent(text: string): PostedEvent {
  const parsed = parseEvents(text, "events");
  assert(parsed.kind === "parsed" && parsed.events.length === 1, JSON.stringify(parsed));
  return parsed.events[0]!;
}

function faultsOf(text: string, format: "events" | "cloudevents" = "events"): string[] {
  const parsed = parseEvents(text, format);
  assert(parsed.kind === "invalid", JSON.stringify(parsed));
  return parsed.faults.map(({ path, message }) => `${path}: ${message}`);
}

Deno.test("parseEvents(): keeps data, scope and metadata as text, with every digit", () => {
  const event = oneEvent(`{ "type": "t", "data": {"b": 1.10, "a": 9007199254740993},
    "scope": {"account_id": 12345678901234567890, "x": null}, "metadata": [1e3], "id": "e-1" }`);
  assertEquals(event.data, '{"b":1.10,"a":9007199254740993}');
  assertEquals([...event.scope], [["account_id", "12345678901234567890"], ["x", "null"]]);
  assertEquals([event.metadata, event.id, event.occurredAt], ["[1e3]", "e-1", undefined]);
});

Deno.test("parseEvents(): an event in an array may nest as deeply as a single one", () => {
  for (const format of ["events", "cloudevents"] as const) {
    const attributes = format === "events" ? "" : '"specversion":"1.0","id":"1","source":"/",';
    const kindsOf = (depth: number) => {
      const data = "[".repeat(depth) + "]".repeat(depth);
      const event = `{${attributes}"type":"t","data":${data}}`;
      return [event, `[${event}]`, event.replace(":", " : ")].map((text) =>
        parseEvents(text, format).kind
      );
    };
    assertEquals(kindsOf(MAX_DEPTH - 1), ["parsed", "parsed", "parsed"]);
    assertEquals(kindsOf(MAX_DEPTH), ["malformed", "malformed", "malformed"]);
  }
});

Deno.test("parseEvents(): reads a timestamp in any time zone", () => {
  const event = oneEvent('{"type":"t","data":1,"timestamp":"2024-03-15T12:30:00+02:00"}');
  assertEquals(event.occurredAt, Date.UTC(2024, 2, 15, 10, 30));
});

Deno.test("parseEvents(): names every fault with its path", () => {
  assertEquals(faultsOf('{"typ":"t","data":{}}'), [
    "type: is missing",
    'typ: is no member of an event; did you mean "type"?',
  ]);
  assertEquals(faultsOf('[{"type":"t","data":1},{"type":"t"},7]'), [
    "[1].data: is missing",
    "[2]: an event is a JSON object",
  ]);
  assertEquals(faultsOf('{"type":"t","data":1,"scope":{"venue_id":{}}}'), [
    "scope.venue_id: must be a string, a number, a boolean or null",
  ]);
  assertEquals(faultsOf('{"type":"t","data":1,"timestamp":"yesterday"}'), [
    'timestamp: must be an RFC 3339 instant, as in "2024-03-15T10:30:00Z"',
  ]);
  assertEquals(faultsOf('{"type":"t","type":"u","data":1}'), ["type: stands twice"]);
  assertEquals(faultsOf("[]"), [": an array of events must hold at least one"]);
  for (const type of ["", "a b", "a\\r\\nX-Evil: 1", "\\u0000", "x".repeat(257)]) {
    assertEquals(faultsOf(`{"type":"${type}","data":1}`)[0]?.slice(0, 6), "type: ");
  }
});

Deno.test("parseEvents(): accepts 1 000 events, refuses 1 001", () => {
  const list = (length: number) => `[${Array(length).fill('{"type":"t","data":1}').join(",")}]`;
  const parsed = parseEvents(list(1_000), "events");
  assertEquals(parsed.kind === "parsed" && parsed.events.length, 1_000);
  assertEquals(faultsOf(list(1_001)), [": 1001 events in one request; at most 1000 are taken"]);
});

Deno.test("parseEvents(): a CloudEvent's source, subject and extensions become the scope", () => {
  const parsed = parseEvents(
    `{"specversion":"1.0","id":"A-1","source":"/bookings","type":"com.example.booked","subject":"bk_1",
      "time":"2024-03-15T10:30:00Z","datacontenttype":"application/json","venueid":"v1","data":{"n":1.0}}`,
    "cloudevents",
  );
  assert(parsed.kind === "parsed");
  const [event] = parsed.events;
  assertEquals([event!.id, event!.type, event!.data], ["A-1", "com.example.booked", '{"n":1.0}']);
  assertEquals([...event!.scope], [
    ["source", '"/bookings"'],
    ["subject", '"bk_1"'],
    ["venueid", '"v1"'],
  ]);
  assertEquals(event!.occurredAt, Date.UTC(2024, 2, 15, 10, 30));
});

Deno.test("parseEvents(): treats a CloudEvents attribute of null as unset", () => {
  const parsed = parseEvents(
    `{"specversion":"1.0","id":"1","source":"/s","type":"t","time":null,"subject":null,"ext":null,
      "data_base64":null,"data":null}`,
    "cloudevents",
  );
  assert(parsed.kind === "parsed");
  const [event] = parsed.events;
  assertEquals([...event!.scope.keys()], ["source"]);
  assertEquals([event!.occurredAt, event!.data], [undefined, "null"]);
});

Deno.test("parseEvents(): names the attribute that makes a CloudEvent invalid", () => {
  assertEquals(faultsOf('{"specversion":"0.3","id":"1","source":"/s","type":"t"}', "cloudevents"), [
    'specversion: must be "1.0"',
  ]);
  assertEquals(
    faultsOf(
      '{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AA=="}',
      "cloudevents",
    ),
    ["data_base64: binary data can't be sent as JSON; put it into data"],
  );
  assertEquals(
    faultsOf(
      '{"specversion":"1.0","id":"1","source":"/s","type":"t","ext":{"a":1}}',
      "cloudevents",
    ),
    ["ext: an extension attribute is a scalar"],
  );
});

Deno.test("parseEvents(): keeps any JSON data unchanged, and never throws for any text", () => {
  fc.assert(
    fc.property(fc.json(), fc.nat(3), (data, indent) => {
      const spaced = JSON.stringify(JSON.parse(data), null, indent);
      assertEquals(oneEvent(`{"type":"t","data":${spaced}}`).data, compact(spaced));
    }),
    { numRuns: 300 },
  );
  const texts = fc.oneof(
    fc.string(),
    fc.json(),
    fc.json().map((json) => `{"type":"t","data":${json}`),
  );
  fc.assert(
    fc.property(
      texts,
      fc.constantFrom("events" as const, "cloudevents" as const),
      (text, format) => {
        parseEvents(text, format);
      },
    ),
    { numRuns: 1_000 },
  );
});

Deno.test("parseEvents(): accepts exactly what the published schema accepts", () => {
  const name = fc.oneof(
    fc.string({
      unit: fc.constantFrom("a", "Z", ".", "!", "~", " ", "\n", "\x7f", "é", '"', "\\"),
    }),
    fc.constantFrom(".", "..", "booking.created", "x".repeat(256), "x".repeat(257)),
  );
  const timestamp = fc.constantFrom(
    "2024-03-15T10:30:00Z",
    "2024-03-15T10:30:00.5+02:00",
    "2024-02-30T10:30:00Z",
    "yesterday",
  );
  const scalar = fc.oneof(name, fc.integer(), fc.double({ noNaN: true }), fc.constant(null));
  const scope = fc.dictionary(
    fc.oneof(name, fc.constantFrom("venue", "account_id", "x1")),
    fc.oneof({ weight: 9, arbitrary: scalar }, { weight: 1, arbitrary: fc.constant([1]) }),
    { maxKeys: 3 },
  );
  const event = fc.record({
    id: fc.oneof(name, fc.integer()),
    type: fc.oneof({ weight: 9, arbitrary: name }, { weight: 1, arbitrary: fc.constant(null) }),
    timestamp: fc.oneof(timestamp, fc.integer()),
    scope: fc.oneof({ weight: 9, arbitrary: scope }, { weight: 1, arbitrary: scalar }),
    data: fc.jsonValue(),
    metadata: fc.jsonValue(),
  }, { requiredKeys: ["type", "data"] });
  fc.assert(
    fc.property(event, (event) => {
      const parsed = parseEvents(JSON.stringify(event), "events").kind === "parsed";
      assertEquals(parsed, postedEventSchema.safeParse(event).success, JSON.stringify(event));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("an event with half a surrogate pair is refused with its path, wherever it is", () => {
  const faultsOf = (text: string, format: "events" | "cloudevents" = "events") => {
    const parsed = parseEvents(text, format);
    assert(parsed.kind === "invalid", `${text}: ${JSON.stringify(parsed)}`);
    return parsed.faults;
  };
  for (
    const [text, path] of [
      ['{"type":"t","data":"\\ud800"}', "data"],
      ['{"type":"t","data":{"a":[1,{"b":"x\\uDFFFy"}]}}', "data.a[1].b"],
      ['{"type":"t","data":{"a":"\\ud83d\\ude00","b":"\\ude00\\ud83d"}}', "data.b"],
      ['{"type":"t","data":{"k\\ud800":1}}', 'data["k\\ud800"]'],
      ['{"type":"t","data":{"a":"\\ud800","a":1}}', "data.a"],
      ['{"type":"t\\ud800","data":1}', "type"],
      ['{"id":"\\ud800","type":"t","data":1}', "id"],
      ['{"type":"t","data":1,"scope":{"venue":"\\uDBFF"}}', "scope.venue"],
      ['{"type":"t","data":1,"scope":{"\\udc00":1}}', 'scope["\\udc00"]'],
      ['{"type":"t","data":1,"metadata":["\\ud800\\\\udc00"]}', "metadata[0]"],
      ['[{"type":"t","data":1}, {"type":"t","data":{"a":"\\ud800"}}]', "[1].data.a"],
      ['"\\ud800"', ""],
    ]
  ) {
    const [fault] = faultsOf(text!);
    assertEquals(fault!.path, path!);
    assert(fault!.message.startsWith("holds half a character"), fault!.message);
  }
  const cloud = '{"specversion":"1.0","id":"1","source":"/s\\ud800","type":"t"}';
  assertEquals(faultsOf(cloud, "cloudevents")[0]!.path, "source");
  // Whole pairs, and a backslash that only looks like an escape.
  const whole = '{"type":"t","data":"\\ud83d\\ude00 \\\\ud800 \\u0041"}';
  assertEquals(parseEvents(whole, "events").kind, "parsed");
});

Deno.test("half a surrogate pair is found at the first path where the parsed value has one", () => {
  const words = fc.string({
    unit: fc.constantFrom("a", "\\", '"', "\ud83d", "\ude00", ",", "{", "]"),
  });
  fc.assert(fc.property(fc.jsonValue({ maxDepth: 3 }), fc.array(words), (value, texts) => {
    const all = [value, texts, Object.fromEntries(texts.map((text) => [text, [text]]))];
    const steps = halfCharacterIn(JSON.stringify(all));
    const isWhole = texts.every((text) => text.isWellFormed());
    assertEquals(steps === undefined, isWhole);
    if (!steps) return;
    const first = texts.findIndex((text) => !text.isWellFormed());
    assertEquals(steps, [1, first]);
  }));
});
