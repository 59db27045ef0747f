import { assert, assertEquals, assertNotEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { systemTracing } from "../../src/runtime/tracing.ts";
import { freePort, serve } from "../support/processes.ts";
import { type RawRequest, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

/** A part of the URL that only the receiver may see. */
const IN_URL = "t0ken-in-the-url";

const EVENT = { id: "bk_1", type: "booking.created", data: {} };

Deno.test("story: with tracing, each attempt is a root span linked to its event's, even after a kill", async () => {
  await using collector = startRawServer({ headers: [["Content-Type", "application/json"]] });
  let status = 503;
  await using receiver = startRawServer(() => ({ status }));
  await using house = await aHouse(receiver.url);
  // Deno's propagators are on by default, but no tracing header is sent unless configured.
  const env = {
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_BSP_SCHEDULE_DELAY: "50",
  };
  const first = await serve(house.folder, house.port, env);
  const publisher = { trace: "0af7651916cd43dd8448eb211c80319c", span: "b7ad6b7169203331" };
  const traceparent = `00-${publisher.trace}-${publisher.span}-01`;
  const { deliveries } = await post(house.port, "/v1/events", EVENT, { traceparent });
  await receiver.received(2);
  await until(() => pendingAfterOneAttempt(house.folder), "both first attempts are on record");
  // Requests have their own spans; the first ones show that the daemon is ready.
  const own = /^(accept event|attempt delivery)$/;
  await until(
    () => spansIn(collector.requests).filter(({ name }) => own.test(name)).length >= 3,
    "what it did has been sent",
  );
  first.kill("SIGKILL");
  await first.status;

  status = 200;
  const second = await serve(house.folder, house.port, env);
  for (const { id } of deliveries) await post(house.port, `/v1/deliveries/${id}/retry`);
  await receiver.received(4);
  second.kill("SIGTERM");
  assertEquals((await second.status).code, 0);

  const spans = spansIn(collector.requests);
  const [event, ...others] = spans.filter(({ name }) => name === "accept event");
  assert(event);
  assertEquals(others, []);
  assertEquals(event.attributes["bellhook.event.id"], "bk_1");
  assertEquals(event.attributes["bellhook.deliveries"], 2);
  // It is a child of the request's span, which is in the publisher's trace.
  assertEquals(event.traceId, publisher.trace);
  assertNotEquals(event.parentSpanId, "");

  const attempts = spans.filter(({ name }) => name === "attempt delivery");
  assertEquals(attempts.length, 4);
  assertEquals(new Set(attempts.map(({ traceId }) => traceId)).size, 4);
  for (const { parentSpanId, links, attributes } of attempts) {
    assertEquals(parentSpanId, "");
    assertEquals(links, [{ traceId: event.traceId, spanId: event.spanId }]);
    assertEquals(attributes["bellhook.event.id"], "bk_1");
    assertEquals(attributes["server.address"], "127.0.0.1");
  }
  const facts = attempts.map(({ attributes, failed }) => [
    attributes["bellhook.subscription"],
    attributes["bellhook.attempt"],
    attributes["http.response.status_code"],
    attributes["bellhook.verdict"],
    failed,
  ]);
  assertEquals(facts.map((fact) => fact.join(" ")).sort(), [
    "asks 1 503 retry true",
    "asks 2 200 delivered false",
    "plain 1 503 retry true",
    "plain 2 200 delivered false",
  ]);

  const asked = attempts.filter(({ attributes }) => attributes["bellhook.subscription"] === "asks");
  assertEquals(
    receiver.requests.map((request) => traceHeaders(request)).sort(),
    [
      ["/plain"],
      ["/plain"],
      ...asked.map(({ traceId, spanId }) => ["/asks", `traceparent: 00-${traceId}-${spanId}-01`]),
    ].map((lines) => lines.join("\n")).sort(),
  );
  assert(collector.requests.every((request) => !request.text().includes(IN_URL)));
});

Deno.test("story: without tracing, nothing is collected, stored or sent", async () => {
  await using collector = startRawServer();
  await using receiver = startRawServer();
  await using house = await aHouse(receiver.url);
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.url };
  const daemon = await serve(house.folder, house.port, env);
  await post(house.port, "/v1/events", EVENT);
  await receiver.received(2);
  daemon.kill("SIGTERM");
  assertEquals((await daemon.status).code, 0);
  assertEquals(collector.connectionCount, 0);
  assertEquals(receiver.requests.map(traceHeaders).sort(), ["/asks", "/plain"]);
  using db = new DatabaseSync(`${house.folder}/bellhook.db`);
  assertEquals(db.prepare("select trace from events").all().map(({ trace }) => trace), [null]);
});

Deno.test("tracing: calls nothing if Deno has registered no tracer", () => {
  assertEquals(systemTracing("0.0.0"), undefined);
});

async function aHouse(receiver: string) {
  const folder = await Deno.makeTempDir();
  const port = freePort();
  const subscription = (id: string) => ({
    id,
    url: `${receiver}${id}?token=${IN_URL}`,
    events: ["*"],
    secret: { file: "secret" },
    allowHttp: true,
    allowNetworks: ["127.0.0.0/8"],
    retry: ["1h"],
    jitter: 0,
  });
  const subscriptions = [subscription("plain"), { ...subscription("asks"), traceparent: true }];
  const config = { server: { listen: `127.0.0.1:${port}` }, subscriptions };
  await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
  await Deno.writeTextFile(`${folder}/secret`, `whsec_${btoa("x".repeat(32))}\n`);
  const remove = () => Deno.remove(folder, { recursive: true });
  return { folder, port, [Symbol.asyncDispose]: remove };
}

async function post(port: number, path: string, body?: unknown, headers = {}) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  assertEquals(response.status, 202);
  return await response.json();
}

function pendingAfterOneAttempt(folder: string): boolean {
  using db = new DatabaseSync(`${folder}/bellhook.db`, { readOnly: true, timeout: 5_000 });
  const rows = db.prepare("select state, attempt_count from deliveries_now").all();
  return rows.every(({ state, attempt_count }) => state === 0 && attempt_count === 1);
}

/** A request's path, and all headers that a tracer could have added. */
function traceHeaders({ target, headers }: RawRequest): string {
  const added = headers.filter(([name]) => /^(trace|baggage|b3|x-b3|uber)/i.test(name));
  return [target.split("?")[0]!, ...added.map(([name, value]) => `${name}: ${value}`)].join("\n");
}

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly failed: boolean;
}

/** Bellhook's own spans in the OTLP/JSON that a collector received. */
function spansIn(requests: readonly RawRequest[]): Span[] {
  const sent = requests.filter(({ target }) => target === "/v1/traces");
  return sent.flatMap((request) => {
    // deno-lint-ignore no-explicit-any
    const all: any[] = JSON.parse(request.text()).resourceSpans;
    const scopes = all.flatMap(({ scopeSpans }) => scopeSpans);
    const own = scopes.filter(({ scope }) => scope.name === "bellhook");
    return own.flatMap(({ spans }) => spans).map(spanOf);
  });
}

// deno-lint-ignore no-explicit-any
function spanOf({ name, traceId, spanId, parentSpanId, links, attributes, status }: any): Span {
  return {
    name,
    traceId,
    spanId,
    parentSpanId,
    links: links.map((link: Span["links"][number]) => ({
      traceId: link.traceId,
      spanId: link.spanId,
    })),
    attributes: Object.fromEntries(
      attributes.map(({ key, value }: { key: string; value: Record<string, unknown> }) => [
        key,
        Object.values(value)[0],
      ]),
    ),
    failed: status.code === 2,
  };
}
