import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { type Clock, systemClock } from "../../src/runtime/clock.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";
import { aConformingDaemon, assertProblem, DOCUMENT } from "./conforming.ts";

/** What all calls of the API have in common: access and errors. */

interface Call {
  readonly method: string;
  readonly path: string;
  readonly security: readonly { readonly bearer: readonly string[] }[];
}

const CALLS: readonly Call[] = Object.entries<Record<string, Call>>(DOCUMENT.paths).flatMap(
  ([path, item]) =>
    Object.entries(item)
      .filter(([key]) => key !== "parameters")
      .map(([method, { security }]) => ({
        method: method.toUpperCase(),
        path: path.replace("{id}", "some"),
        security,
      })),
);

const METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"];

const auth = {
  publishers: [{ name: "p", token: new Secret("pub-token") }],
  operators: [{ name: "ada", token: new Secret("op-token") }],
};

/** A config of a daemon behind a proxy, and the header by which that says who calls: somebody else each time. */
function behindAProxy() {
  const config = aConfig({ auth });
  let callers = 0;
  return {
    config: { ...config, server: { ...config.server, trustProxy: ["127.0.0.1"] } },
    // Whoever is refused again and again is answered later and later.
    aCaller: () => ({ "x-forwarded-for": `10.0.${callers >> 8}.${callers++ & 255}` }),
  };
}

function bodyFor(method: string): string | undefined {
  return method === "GET" ? undefined : "{}";
}

Deno.test("access: without a token, every call that the document doesn't open is 401", async () => {
  const { config, aCaller } = behindAProxy();
  await using daemon = await aConformingDaemon(config);
  for (const { method, path, security } of CALLS) {
    const { status, headers } = await daemon.call(method, path, bodyFor(method), aCaller());
    if (security.length === 0) assertEquals(status, 200, path);
    else {
      assertEquals([status, headers.get("www-authenticate")], [401, 'Bearer realm="bellhook"']);
    }
  }
});

Deno.test("access: a publisher's token can post events, and nothing else", async () => {
  await using daemon = await aConformingDaemon(aConfig({ auth }));
  const token = { authorization: "Bearer pub-token" };
  for (const { method, path, security } of CALLS.filter(({ security }) => security.length > 0)) {
    const { status } = await daemon.call(method, path, bodyFor(method), token);
    const mayPublish = security.some(({ bearer }) => bearer.includes("publisher"));
    assertEquals([`${method} ${path}`, status], [`${method} ${path}`, mayPublish ? 422 : 403]);
  }
  assertEquals(CALLS.filter(({ security }) => security.length === 2).map(({ path }) => path), [
    "/v1/events",
  ]);
});

Deno.test("problems: unknown paths and ids are 404", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const paths = [
    "/nope",
    "/v1",
    "/v1/",
    "/v1/nope",
    "/v1/events/a/b",
    "/v1/deliveries/a/retry/b",
    "/v1/events/",
    "/-/nope",
    "/v2/events",
    "//v1/events",
    "/%",
    "/v1/%zz",
  ];
  for (const path of paths) {
    const answer = await daemon.call("GET", path);
    assertEquals([path, answer.status], [path, 404]);
    assertProblem(answer);
  }
});

Deno.test("problems: a wrong method is 405, and Allow names the right ones", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  for (const path of new Set(CALLS.map((call) => call.path))) {
    const right = CALLS.filter((call) => call.path === path).map(({ method }) => method);
    for (const method of [...METHODS, "OPTIONS"].filter((method) => !right.includes(method))) {
      const answer = await daemon.call(method, path, bodyFor(method));
      assertEquals([method, path, answer.status], [method, path, 405]);
      assertProblem(answer);
      const allow = answer.headers.get("allow")!.split(", ");
      const expected = right.includes("GET") ? [...right, "HEAD"] : right;
      assertEquals(allow.toSorted(), expected.toSorted());
    }
  }
});

Deno.test("HEAD: answers as GET does, without a body", async () => {
  await using daemon = await aDaemon(aConfig());
  for (const { path } of CALLS.filter(({ method }) => method === "GET")) {
    if (path === "/v1/stream") continue;
    const get = await daemon.call("GET", path);
    const head = await daemon.call("HEAD", path);
    assertEquals([head.status, head.headers.get("content-type")], [
      get.status,
      get.headers.get("content-type"),
    ]);
  }
  const { status, headers } = await daemon.call("HEAD", "/v1/match");
  assertEquals([status, headers.get("allow")], [405, "POST"]);
});

Deno.test("HEAD: of the stream has its headers, and leaves no stream behind", async () => {
  const waiting = new Set<number>();
  let timers = 0;
  const clock: Clock = {
    ...systemClock,
    after(ms, callback) {
      const timer = timers++;
      const cancel = systemClock.after(ms, callback);
      if (ms === 5_000) waiting.add(timer);
      return () => {
        waiting.delete(timer);
        cancel();
      };
    },
  };
  await using daemon = await aDaemon(aConfig(), { clock });
  const { status, headers } = await daemon.call("HEAD", "/v1/stream");
  assertEquals([status, headers.get("content-type")], [200, "text/event-stream"]);
  assertEquals(waiting.size, 0, "a stream waits to send its ping");
});

Deno.test("queries: a number is decimal digits and nothing else", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const paths = ["/v1/events", "/v1/deliveries", "/v1/subscriptions"];
  const wrong = ["0x10", "1e2", " 5 ", "+5", "-5", "5.0", "0b1", "1_0", "\u0665", "", "five"];
  const parameters = [...paths.map((path) => [path, "limit"]), ["/v1/deliveries", "status"]];
  for (const [path, name = ""] of parameters) {
    for (const number of wrong) {
      const query = `${path}?${new URLSearchParams([[name, number]])}`;
      const { status, body } = await daemon.call("GET", query);
      const errors = [{ path: name, message: "must be a whole number" }];
      assertEquals([query, status, body.errors], [query, 422, errors]);
    }
  }
  for (const path of paths) {
    for (const number of ["1", "500", "007"]) {
      assertEquals((await daemon.call("GET", `${path}?limit=${number}`)).status, 200, number);
    }
    for (const number of ["0", "501", "9".repeat(30), "9".repeat(400)]) {
      const { status, body } = await daemon.call("GET", `${path}?limit=${number}`);
      assertEquals([status, body.errors[0].path], [422, "limit"], number);
    }
  }
});

Deno.test("queries: a huge one gets one of the API's own answers", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const huge = "x".repeat(60_000);
  for (const name of ["q", "cursor"]) {
    const { status, body } = await daemon.call("GET", `/v1/deliveries?${name}=${huge}`);
    assertEquals([status, body.errors[0].path], [422, name]);
  }
  for (const name of ["type", "subscription", "event"]) {
    const { status, body } = await daemon.call("GET", `/v1/deliveries?${name}=${huge}`);
    assertEquals([status, body], [200, { items: [], next: null }]);
  }
  const many = Array.from({ length: 2_000 }, (_, index) => `a${index}=1`).join("&");
  assertEquals((await daemon.call("GET", `/v1/events?${many}`)).status, 422);
});

Deno.test("queries: any text in any parameter gives a page or a 422", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  await daemon.call("POST", "/v1/events", { type: "t", data: "x" });
  const parameter = fc.record({
    path: fc.constantFrom("/v1/events", "/v1/deliveries", "/v1/subscriptions"),
    name: fc.constantFrom("cursor", "q", "type", "since", "limit", "state", "event", "__proto__"),
    value: fc.oneof(fc.string(), anyText(), fc.base64String()),
  });
  await fc.assert(
    fc.asyncProperty(parameter, async ({ path, name, value }) => {
      const query = new URLSearchParams([[name, value]]);
      const { status } = await daemon.call("GET", `${path}?${query}`);
      assert(status === 200 || status === 422, `${status}`);
    }),
    { numRuns: 200 },
  );
});

Deno.test("queries: a cursor of one list used in another gives a page or a 422", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  await daemon.call("POST", "/v1/events", [{ type: "t", data: 1 }, { type: "t", data: 2 }]);
  const { next } = (await daemon.call("GET", "/v1/events?limit=1")).body;
  const query = `cursor=${encodeURIComponent(next)}`;
  for (const path of ["/v1/deliveries", "/v1/subscriptions"]) {
    const { status } = await daemon.call("GET", `${path}?${query}`);
    assert(status === 200 || status === 422, `${path} ${status}`);
  }
});

Deno.test("paths: any text as an id gives a 404", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const anyId = fc.oneof(anyText({ minLength: 1 }), fc.webSegment());
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("events", "deliveries", "subscriptions", "replays"),
      anyId,
      async (list, id) => {
        const segment = encodeURIComponent(id.toWellFormed());
        if (segment === "" || /^(\.|%2e){1,2}$/i.test(segment)) return;
        const { status } = await daemon.call("GET", `/v1/${list}/${segment}`);
        assertEquals(status, 404);
      },
    ),
    { numRuns: 200 },
  );
});

Deno.test("bodies: server.maxBody limits every call, and the refusal names it", async () => {
  const { server } = aConfig();
  await using strict = await aConformingDaemon(
    aConfig({ server: { ...server, maxBodyBytes: 1_024 } }),
  );
  await using lenient = await aConformingDaemon(
    aConfig({ server: { ...server, maxBodyBytes: 1_024 * 1_024 } }),
  );
  for (const { path } of CALLS.filter(({ method }) => method === "POST")) {
    const refused = await strict.call("POST", path, `{}${" ".repeat(1_024)}`);
    assertEquals([path, refused.status], [path, 413]);
    assertStringIncludes(refused.body.detail, "larger than server.maxBody, 1KiB");
    const { status } = await lenient.call("POST", path, `{}${" ".repeat(600 * 1_024)}`);
    assertEquals([path, status === 413], [path, false]);
  }
});

Deno.test("bodies: one with a far too large Content-Length is refused before it is read", async () => {
  await using daemon = await aConformingDaemon(aConfig());
  const { hostname, port } = new URL(daemon.url);
  using connection = await Deno.connect({ hostname, port: Number(port) });
  const head = `POST /v1/events HTTP/1.1\r\nHost: ${hostname}:${port}\r\n` +
    "Content-Type: application/json\r\nContent-Length: 10000000000\r\n\r\n";
  await connection.write(new TextEncoder().encode(head));
  const answer = new Uint8Array(1_000);
  const length = await connection.read(answer);
  assertStringIncludes(new TextDecoder().decode(answer.subarray(0, length!)), "HTTP/1.1 413 ");
});

Deno.test("answers: forbid caching and content sniffing", async () => {
  const { config, aCaller } = behindAProxy();
  await using daemon = await aDaemon(config);
  const answers: [string, Headers][] = [];
  for (const token of ["op-token", "pub-token", "wrong"]) {
    const authorization = `Bearer ${token}`;
    for (const { method, path } of CALLS) {
      if (path === "/v1/stream" && token === "op-token") continue;
      const { headers } = await daemon.call(method, path, bodyFor(method), {
        authorization,
        ...aCaller(),
      });
      answers.push([`${method} ${path}`, headers]);
    }
    for (const path of ["/v1/events", "/v1//events", "/v1/nothing"]) {
      const event = { type: "t", data: 1 };
      const { headers } = await daemon.call("POST", path, event, { authorization, ...aCaller() });
      answers.push([`POST ${path}`, headers]);
    }
  }
  const stream = await fetch(`${daemon.url}/v1/stream`, {
    headers: { authorization: "Bearer op-token" },
  });
  await stream.body?.cancel();
  answers.push(["GET /v1/stream", stream.headers]);
  for (const [call, headers] of answers) {
    const said = ["cache-control", "x-content-type-options"].map((name) => headers.get(name));
    assertEquals([call, ...said], [call, "no-store", "nosniff"]);
  }
});
