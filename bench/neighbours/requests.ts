/** A request that is as expensive as the API allows, or is refused for its size. */
export interface LargeRequest {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The body, by how often it was sent before. Undefined for a GET. */
  readonly body?: string | ((time: number) => string);
}

/** The number of subscriptions to each event type. */
export const SUBSCRIBED = [
  { type: "match", count: 1_000, match: { "items.v": ["CONFIRMED"] } },
  { type: "match", count: 150, match: { "items.v": [{ ">": 1e9 }] } },
  { type: "match", count: 150, match: { "items.v": [{ prefix: "y" }, { suffix: "y" }] } },
  { type: "five", count: 5 },
  { type: "thousands", count: 2_000 },
  { type: "everybody", count: 10_000 },
];

const KIB = 1_024;
/** The size of a body without its envelope. */
const ROOM = 255 * KIB;

const list = (count: number, event: (index: number) => unknown) =>
  JSON.stringify(Array.from({ length: count }, (_, index) => event(index)));
const matched = (data: string) => `{"type":"match","data":{"items":${data}}}`;
/** Repeats a text as often as fits. */
const filled = (piece: string) => Array(Math.floor(ROOM / (piece.length + 1))).fill(piece).join();
const numbered = (piece: (index: number) => string, length: number) =>
  Array.from({ length: Math.floor(ROOM / length) }, (_, index) => piece(index)).join();

const THOUSAND = 1_000;
const idempotent = (key: string) => ({
  headers: { "idempotency-key": key },
  body: list(THOUSAND, (i) => ({ id: `${key}-${i}`, type: "five", data: i })),
});

export const REQUESTS: Readonly<Record<string, LargeRequest>> = {
  "one event, 1 300 conditions on a list of objects": { body: matched(`[${filled('{"v":1}')}]`) },
  "… on a list of numbers": { body: matched(`{"v":[${numbered((i) => `${i + 1e5}`, 7)}]}`) },
  "… on a list of texts": { body: matched(`{"v":[${numbered((i) => `"x${i + 1e5}"`, 10)}]}`) },
  "… on one giant number and many near it": {
    body: matched(`{"v":[1${"0".repeat(99_999)}1,${Array(15_000).fill("1e100000")}]}`),
  },
  "… on lists in lists": { body: matched(`[${filled(`${"[".repeat(90)}${"]".repeat(90)}`)}]`) },
  "… on an object of many names": { body: matched(`{${numbered((i) => `"k${i + 1e4}":1`, 11)}}`) },
  "… on one name again and again": {
    body: matched(`{${Array(8).fill(`"v":[${Array(15_000).fill(1)}]`)}}`),
  },
  "… on texts of escapes": { body: matched(`{"v":[${filled('"\\n"')}]}`) },
  "one event of white space": { body: matched(`[${filled("  1  ")}]`) },
  "one event with a long value in its scope": {
    body: `{"type":"match","data":1,"scope":{"a":"${"x".repeat(250 * KIB)}"}}`,
  },
  "one event with many names in its scope": {
    body: `{"type":"match","data":1,"scope":{${numbered((i) => `"k${i + 1e4}":1`, 11)}}}`,
  },
  "one event for 10 000 subscriptions": { body: '{"type":"everybody","data":1}' },
  "a thousand events that nobody gets": { body: list(THOUSAND, () => ({ type: "no", data: 1 })) },
  "a thousand events for five subscriptions": {
    body: list(THOUSAND, () => ({ type: "five", data: 1 })),
  },
  "a thousand events for two thousand subscriptions": {
    body: list(THOUSAND, () => ({ type: "thousands", data: 1 })),
  },
  "a thousand CloudEvents": {
    headers: { "content-type": "application/cloudevents-batch+json" },
    body: (time) =>
      list(THOUSAND, (i) => ({
        specversion: "1.0",
        id: `${time}-${i}`,
        source: "/bench",
        type: "no",
        time: "2024-03-15T10:30:00Z",
        venue: i,
        data: { i },
      })),
  },
  "a thousand events with ids and a key, twice again": idempotent("again"),
  "a thousand faults": { body: list(THOUSAND, () => ({ typ: "no", data: 1 })) },
  "the question who would get an event": {
    path: "/v1/match",
    body: matched(`[${filled('{"v":1}')}]`),
  },
  "a search for a text that is nowhere": { path: "/v1/deliveries?q=nowhere&limit=500" },
  "the dashboard's overview": { path: "/" },
  "the dashboard's config page": { path: "/dashboard/config" },
  "all subscriptions": { path: "/v1/subscriptions?limit=500" },
  "a page of one subscription": { path: "/dashboard/subscriptions/2-0" },
  "the metrics": { path: "/metrics" },
  "the pause of a subscription": { path: "/v1/subscriptions/2-0/pause", body: "" },
  "its end": { path: "/v1/subscriptions/2-0/resume", body: "" },
  "a reload": { path: "/-/reload", body: "" },
  "the dry run of a replay": {
    path: "/v1/replays",
    body: '{"since":"2020-01-01T00:00:00Z","dryRun":true}',
  },
  "the question about a long scope": {
    path: "/v1/match",
    body: `{"type":"match","data":1,"scope":{"a":${"1".repeat(250 * KIB)}}}`,
  },
};
