import {
  assert,
  assertEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Secret } from "../../src/domain/secret.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import {
  formatReceived,
  type Received,
  type Receiver,
  type ReceiverOptions,
  startReceiver,
} from "../../src/receivers/receiver.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import {
  SIGNED_AT,
  signedByHand,
  type SignedRequest,
  trioByHand,
  vector,
} from "./signed_by_hand.ts";

/** A receiver and what it has received; stops at the end of its scope. */
class Running implements AsyncDisposable {
  readonly received: Received[] = [];
  readonly clock = new FakeClock(SIGNED_AT);
  readonly receiver: Receiver;

  constructor(profile: string, options: Partial<ReceiverOptions> = {}) {
    this.receiver = startReceiver({
      profile: BUILT_IN.get(profile)!,
      clock: this.clock,
      onReceived: (received) => this.received.push(received),
      ...options,
    });
  }

  async post({ headers, body }: SignedRequest): Promise<[status: number, text: string]> {
    const response = await fetch(this.receiver.url, { method: "POST", headers, body });
    return [response.status, await response.text()];
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.receiver.stop();
  }
}

async function aRequest(profile: string): Promise<{ request: SignedRequest; secret: Secret }> {
  const { expect, secret = "be_secret" } = await vector(profile);
  return { request: await signedByHand(profile, expect.body, secret), secret: new Secret(secret) };
}

for (const profile of BUILT_IN.keys()) {
  Deno.test(`receiver of ${profile}: answers 200 to a good request and reports it`, async () => {
    const { request, secret } = await aRequest(profile);
    const signs = profile !== "booking-experts";
    await using running = new Running(profile, signs ? { secret } : {});
    assertEquals(await running.post(request), [200, "ok\n"]);
    const [{ webhookId: _, attemptHint: __, ...received }] = running.received as [Received];
    assertEquals(received, {
      event: JSON.parse(request.body).event ?? JSON.parse(request.body).type,
      profile,
      status: 200,
      durationMs: 0,
      verified: true,
      signed: signs,
    });
  });
}

Deno.test("receiver: answers 401 with the problem to a wrong secret", async () => {
  const { request } = await aRequest("roostsync");
  await using running = new Running("roostsync", { secret: new Secret("another") });
  const [status, text] = await running.post(request);
  assertEquals(status, 401);
  assertStringIncludes(text, "X-RoostSync-Signature is");
  const [received] = running.received;
  assertEquals([received!.verified, received!.event], [false, "booking.created"]);
  assertEquals(`${received!.problem}\n`, text);
});

Deno.test("receiver: answers 401 to a request that is replayed later", async () => {
  const { request, secret } = await aRequest("roostsync");
  const trio = await trioByHand(request.body, new TextEncoder().encode(secret.reveal()));
  await using running = new Running("roostsync", { secret });
  const signed = { ...request, headers: { ...request.headers, ...trio } };
  assertEquals((await running.post(signed))[0], 200);
  running.clock.step(3_600_000);
  const [status, text] = await running.post(signed);
  assertEquals(status, 401);
  assertStringIncludes(text, "webhook-timestamp is 3600 s before 2024-03-15T11:40:00Z");
});

Deno.test("receiver: answers 400 to a body that isn't JSON, and to keys in the wrong order", async () => {
  await using running = new Running("booking-experts");
  const headers = { "Content-Type": "application/json" };
  assertEquals((await running.post({ headers, body: "\u0000garbage" }))[0], 400);
  const [status, text] = await running.post({
    headers,
    body: '{"subscription_id":1,"event":"a:b"}',
  });
  assertEquals(status, 400);
  assertStringIncludes(text, "expected event, subscription_id, record");
  assertEquals(running.received.map(({ event }) => event), [undefined, "a:b"]);
});

Deno.test("receiver: answers 405 to other methods than POST", async () => {
  await using running = new Running("standard");
  const response = await fetch(running.receiver.url);
  assertEquals([response.status, response.headers.get("allow")], [405, "POST"]);
  await response.text();
  assertEquals(running.received[0]!.problem, "the method is GET, expected POST");
});

Deno.test("receiver: answers 413 to a huge body without storing it", async () => {
  await using running = new Running("standard");
  const body = "x".repeat(4 * 1024 * 1024 + 1);
  const [status, text] = await running.post({ headers: {}, body });
  assertEquals(status, 413);
  assertStringIncludes(text, "longer than 4194304 bytes");
});

Deno.test("receiver: keeps working after garbage, half a request and an aborted body", async () => {
  const { request, secret } = await aRequest("standard");
  await using running = new Running("standard", { secret });
  const { port } = running.receiver;
  const pieces = [
    crypto.getRandomValues(new Uint8Array(4_000)),
    new TextEncoder().encode("POST / HTTP/1.1\r\nHost: x\r\nX-Ha"),
    new TextEncoder().encode("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nshort"),
  ];
  for (const piece of pieces) {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port });
    await connection.write(piece);
    connection.close();
  }
  assertEquals((await running.post(request))[0], 200);
});

Deno.test("receiver: failFirst answers that many requests with 503, and still verifies them", async () => {
  const { request, secret } = await aRequest("standard");
  await using running = new Running("standard", { secret, failFirst: 2 });
  const statuses = [];
  for (let i = 0; i < 3; i++) statuses.push((await running.post(request))[0]);
  assertEquals(statuses, [503, 503, 200]);
  assertEquals(running.received.map(({ verified }) => verified), [true, true, true]);
  assertEquals(running.received.map(({ attemptHint }) => attemptHint), [1, 2, 3]);
});

Deno.test("receiver: fail answers every request with that status, even one without a body", async () => {
  const { request, secret } = await aRequest("standard");
  for (const fail of [204, 302, 410, 599]) {
    await using running = new Running("standard", { secret, fail });
    const headers = request.headers;
    const options: RequestInit = {
      method: "POST",
      headers,
      body: request.body,
      redirect: "manual",
    };
    const response = await fetch(running.receiver.url, options);
    await response.text();
    assertEquals([response.status, running.received[0]!.status], [fail, fail]);
  }
  for (const fail of [100, 600, 20.5]) {
    assertThrows(() => new Running("standard", { fail }), RangeError, `status ${fail}`);
  }
});

/** A clock with a promise that resolves when a timer is set. */
class WatchedClock extends FakeClock {
  readonly #waiting = Promise.withResolvers<void>();
  readonly waiting = this.#waiting.promise;

  override after(ms: number, callback: () => void): () => void {
    this.#waiting.resolve();
    return super.after(ms, callback);
  }
}

Deno.test("receiver: delayMs delays the answer", async () => {
  const { request, secret } = await aRequest("standard");
  const clock = new WatchedClock(SIGNED_AT);
  await using running = new Running("standard", { secret, clock, delayMs: 10_000 });
  const answer = running.post(request);
  await clock.waiting;
  clock.advance(9_999);
  assertEquals(running.received, []);
  clock.advance(1);
  assertEquals((await answer)[0], 200);
  assertEquals(running.received[0]!.durationMs, 10_000);
});

Deno.test("receiver: reports at once that the sender has left before the delayed answer", async () => {
  const { request, secret } = await aRequest("standard");
  const clock = new WatchedClock(SIGNED_AT);
  await using running = new Running("standard", { secret, clock, delayMs: 10_000 });
  const sender = new AbortController();
  const answer = fetch(running.receiver.url, {
    method: "POST",
    ...request,
    signal: sender.signal,
  });
  await clock.waiting;
  clock.advance(3_000);
  sender.abort();
  await assertRejects(() => answer, DOMException);
  const received = await until(() => running.received[0], "the receiver tells of it");
  const { status, unanswered, durationMs, verified } = received;
  assertEquals({ status, unanswered, durationMs, verified }, {
    status: undefined,
    unanswered: "the sender had gone",
    durationMs: 3_000,
    verified: true,
  });
  assert(!("status" in JSON.parse(JSON.stringify(received))));
});

Deno.test("receiver: stop() doesn't wait for delayed answers", async () => {
  const { request, secret } = await aRequest("standard");
  const clock = new WatchedClock(SIGNED_AT);
  const running = new Running("standard", { secret, clock, delayMs: 10_000 });
  const answer = running.post(request).catch(() => "broken off");
  await clock.waiting;
  await running.receiver.stop();
  await answer;
  await assertRefused(running.receiver.port);
  assertEquals(
    running.received.map(({ status, unanswered }) => [status, unanswered]),
    [[undefined, "this receiver was stopped"]],
  );
});

async function assertRefused(port: number): Promise<void> {
  const refused = await Deno.connect({ hostname: "127.0.0.1", port }).then(
    (connection) => connection.close(),
    (error) => error instanceof Deno.errors.ConnectionRefused,
  );
  assert(refused);
}

const RECEIVED = {
  event: "booking.created",
  profile: "roostsync",
  status: 200,
  durationMs: 2.6,
  verified: true,
  signed: true,
} satisfies Received;

Deno.test("formatReceived: one line shows event, profile, status, duration and verdict", () => {
  const lines = [
    RECEIVED,
    { ...RECEIVED, signed: false, attemptHint: 1 },
    { ...RECEIVED, status: 401, verified: false, problem: "X is missing", attemptHint: 2 },
  ].map((received) => formatReceived(received, { colour: false }));
  assertEquals(lines, [
    "booking.created           roostsync         200     3 ms  signature good",
    "booking.created           roostsync         200     3 ms  no signature in this format",
    "booking.created           roostsync         401     3 ms  X is missing  (attempt 2)",
  ]);
});

Deno.test("formatReceived: a request without an answer has a reason instead of a status", () => {
  const { status: _, ...seen } = RECEIVED;
  const received: Received = { ...seen, durationMs: 15_000, unanswered: "the sender had gone" };
  assertEquals(
    formatReceived(received, { colour: false }),
    "booking.created           roostsync         ---  15000 ms  signature good" +
      "  (not answered: the sender had gone)",
  );
});

Deno.test("formatReceived: colour changes no text", () => {
  const line = formatReceived(RECEIVED, { colour: true });
  // deno-lint-ignore no-control-regex
  assertEquals(line.replace(/\x1b\[\d+m/g, ""), formatReceived(RECEIVED, { colour: false }));
  assertStringIncludes(line, "\x1b[32msignature good\x1b[0m");
});

Deno.test("formatReceived: text from outside can't control the terminal", () => {
  const event = "\x1b]0;title\x07\r\n\u202e\u2028";
  const line = formatReceived({ ...RECEIVED, event }, { colour: false });
  assertStringIncludes(line, "\\u{1b}]0;title\\u{7}\\u{d}\\u{a}\\u{202e}\\u{2028}");
  const { event: _, ...without } = RECEIVED;
  assertStringIncludes(formatReceived(without, { colour: false }), "(no event)");
});
