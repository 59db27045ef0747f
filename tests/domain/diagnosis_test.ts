import { assert, assertEquals, assertMatch } from "@std/assert";
import type { FailureKind, Headers } from "../../src/domain/attempt.ts";
import { diagnose } from "../../src/domain/diagnosis.ts";

function ofStatus(status: number, headers: Headers = []): string | undefined {
  return diagnose(
    { kind: "answered", status, headers, body: new Uint8Array(), truncated: false },
    false,
  );
}

Deno.test("diagnose(): a success needs none, whatever its status", () => {
  const outcome = { headers: [], body: new Uint8Array(), truncated: false };
  assertEquals(diagnose({ kind: "answered", status: 200, ...outcome }, true), undefined);
  assertEquals(diagnose({ kind: "answered", status: 500, ...outcome }, true), undefined);
});

Deno.test("diagnose(): each kind of failure says what was seen, then where to look", () => {
  const table: Record<FailureKind, RegExp> = {
    dns: /check the host .* DNS records$/,
    connect: /nothing listens there, or a firewall/,
    tls: /fix its certificate or TLS settings$/,
    timeout: /answer first and work afterwards; .* timeout$/,
    reset: /broke the connection off/,
    blocked: /public addresses only; .* allowNetworks$/,
    protocol: /does not speak HTTP\/1\.1/,
  };
  for (const [kind, says] of Object.entries(table) as [FailureKind, RegExp][]) {
    const message = `what was seen of ${kind}`;
    const diagnosis = diagnose({ kind: "failed", error: { kind, message } }, false)!;
    assert(diagnosis.startsWith(`${message}: `), diagnosis);
    assertMatch(diagnosis, says);
  }
});

Deno.test("diagnose(): a name that is not there is another's business than name servers that fail", () => {
  const of = (message: string) =>
    diagnose({ kind: "failed", error: { kind: "dns", message } }, false)!;
  assertMatch(of("no such host gests.example"), /check the host .* A or AAAA record/);
  assertMatch(of("no name server answered for guests.example"), /name servers .* don't answer/);
});

Deno.test("diagnose(): a deadline that passed says whose fault it is by how far the request came", () => {
  const table: [phase: string, says: RegExp][] = [
    ["resolving guests.example", /name servers .* do not answer/],
    ["connecting to 192.0.2.1:443", /the server is down, or a firewall drops/],
    ["setting up TLS with 192.0.2.1:443", /url's port is one for HTTPS/],
    ["waiting for the response", /answer first and work afterwards/],
    ["reading the response body", /raise the subscription's timeout/],
  ];
  for (const [phase, says] of table) {
    const message = `the deadline of 30s passed while ${phase}`;
    assertMatch(diagnose({ kind: "failed", error: { kind: "timeout", message } }, false)!, says);
  }
});

Deno.test("diagnose(): each status names itself and what it asks for", () => {
  const table: [status: number, says: RegExp][] = [
    [204, /not by this subscription's success setting$/],
    [304, /redirects are never followed; point the subscription at the final address$/],
    [400, /could not use the body/],
    [401, /rejected the signature or a token; .* `bellhook verify`/],
    [403, /refused the request; check the signature, custom headers/],
    [404, /no such path; check the subscription's url$/],
    [405, /takes no POST/],
    [408, /gave up waiting for the body/],
    [410, /gone for good; the subscription was paused\. .* resume it/],
    [413, /larger than the receiver takes/],
    [415, /does not take application\/json/],
    [418, /refused the request; its answer may say why$/],
    [422, /could not use the body/],
    [429, /asked too often; set the subscription's rateLimit or concurrency$/],
    [500, /code failed; .* length mismatch in a constant-time comparison/],
    [501, /server failed; its error log says why$/],
    [502, /down or overloaded behind its proxy$/],
    [503, /down or overloaded behind its proxy$/],
    [504, /down or overloaded behind its proxy$/],
  ];
  for (const [status, says] of table) {
    const diagnosis = ofStatus(status)!;
    assert(diagnosis.includes(String(status)), diagnosis);
    assertMatch(diagnosis, says);
  }
});

Deno.test("diagnose(): a redirect's address is shown, by any spelling of its header", () => {
  for (const name of ["Location", "location", "LOCATION"]) {
    assertEquals(
      ofStatus(301, [[name, "https://new.example/hooks"]]),
      "answered 301: point the subscription at https://new.example/hooks; " +
        "redirects are never followed",
    );
  }
});

Deno.test("diagnose(): no status is without words, and every sentence ends without a full stop", () => {
  for (let status = 100; status < 600; status++) {
    const diagnosis = ofStatus(status)!;
    assertMatch(diagnosis, new RegExp(`^(answered )?${status}: .+[^.]$`));
  }
});
