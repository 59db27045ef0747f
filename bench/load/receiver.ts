import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { serveCommands } from "../processes/helper.ts";
import { now, readEvent } from "./event.ts";
import { percentile } from "./statistics.ts";

/** The receivers of events, all in one process. They check every signature. */
export type ReceiverCommands = {
  /** Opens this many ports on loopback, with or without TLS. */
  open(order: { ports: number; tls?: { cert: string; key: string } }): number[];
  /** Resets all counts, and sets the expected deliveries. */
  expect(expectation: Expectation): void;
  behave(behaviour: Behaviour): void;
  /** Waits for this many different deliveries, or the timeout; returns how many came. */
  wait(order: { count: number; limitMs: number }): Promise<number>;
  /** From now on, deliveries not answered before count as new; returns how many those are. */
  mark(order: { at: number }): number;
  report(order: ReportOrder): Report;
};

export interface Expectation {
  readonly secret: string;
  /** The highest event number plus one. */
  readonly events: number;
  /** Deliveries per event, distinguished by the number in the path. */
  readonly perEvent: number;
}

export interface Behaviour {
  /** The numbers of the receivers that never answer. */
  readonly hanging?: readonly number[];
  /** How long the others take to answer. */
  readonly delayMs?: number;
  /** The share of events that are always refused with a 503. */
  readonly refusedShare?: number;
}

export interface ReportOrder {
  /** The first event number whose times are measured. */
  readonly from: number;
  /** The end of the measured event numbers, exclusive. */
  readonly to: number;
}

export interface Report {
  /** Different deliveries received with a correct signature. */
  readonly arrived: number;
  /** Repeated deliveries. */
  readonly repeated: number;
  readonly badlySigned: number;
  readonly unreadable: number;
  /** Different deliveries that were refused. */
  readonly refused: number;
  /** When the first request after `expect` or `mark` arrived; 0 before. */
  readonly firstAt: number;
  /** When the latest new delivery arrived. */
  readonly lastAt: number;
  /** Times from post to arrival, of the measured events. */
  readonly times: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly worstMs: number;
  /** The first hundred numbers of expected deliveries that haven't arrived. */
  readonly missing: readonly number[];
}

const NEW = 0, ARRIVED = 1, REFUSED = 2;

let key = Buffer.alloc(0);
let perEvent = 1;
let states = new Uint8Array(0);
let times = new Float64Array(0);
/** 0 if no answer has been written. */
let answeredAt = new Float64Array(0);
let counts = noCounts();
let hanging = new Set<number>();
let delayMs = 0;
let refusedShare = 0;
let waiting: { count: number; tell: () => void } | undefined;

function open(
  { ports, tls }: { ports: number; tls?: { cert: string; key: string } },
): number[] {
  return Array.from({ length: ports }, () => {
    const address = { hostname: "127.0.0.1", port: 0 };
    const listener = tls ? Deno.listenTls({ ...address, ...tls }) : Deno.listen(address);
    void accept(listener);
    return (listener.addr as Deno.NetAddr).port;
  });
}

function expect(expectation: Expectation): void {
  key = Buffer.from(expectation.secret.replace(/^whsec_/, ""), "base64");
  perEvent = expectation.perEvent;
  states = new Uint8Array(expectation.events * perEvent);
  times = new Float64Array(states.length);
  answeredAt = new Float64Array(states.length);
  counts = noCounts();
  behave({});
}

function noCounts() {
  return {
    arrived: 0,
    repeated: 0,
    badlySigned: 0,
    unreadable: 0,
    refused: 0,
    firstAt: 0,
    lastAt: 0,
  };
}

function behave(behaviour: Behaviour): void {
  hanging = new Set(behaviour.hanging);
  delayMs = behaviour.delayMs ?? 0;
  refusedShare = behaviour.refusedShare ?? 0;
}

async function wait(
  { count, limitMs }: { count: number; limitMs: number },
): Promise<number> {
  if (counts.arrived < count) {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, limitMs);
    waiting = { count, tell: resolve };
    await promise;
    waiting = undefined;
    clearTimeout(timer);
  }
  return counts.arrived;
}

function mark({ at }: { at: number }): number {
  let again = 0;
  for (let i = 0; i < states.length; i++) {
    const wasAnswered = answeredAt[i]! > 0 && answeredAt[i]! <= at;
    if (states[i] !== ARRIVED || wasAnswered) continue;
    states[i] = NEW;
    again++;
  }
  counts.arrived -= again;
  counts.firstAt = 0;
  return again;
}

function report({ from, to }: ReportOrder): Report {
  const first = from * perEvent, end = Math.min(to * perEvent, states.length);
  const came: number[] = [], missing: number[] = [];
  for (let i = first; i < end; i++) {
    if (states[i] === ARRIVED) came.push(times[i]!);
    else if (missing.length < 100) missing.push(i);
  }
  return {
    ...counts,
    times: came.length,
    p50Ms: percentile(came, 0.5),
    p99Ms: percentile(came, 0.99),
    worstMs: percentile(came, 1),
    missing,
  };
}

async function accept(listener: Deno.Listener): Promise<void> {
  for await (const conn of listener) {
    if ("setNoDelay" in conn) (conn as Deno.TcpConn).setNoDelay(true);
    void serve(conn).catch(() => {}).finally(() => {
      try {
        conn.close();
      } catch {
        // The other side closed first.
      }
    });
  }
}

/** Answers the requests of a connection in turn. Bodies must have a Content-Length. */
async function serve(conn: Deno.Conn): Promise<void> {
  let buffer = Buffer.alloc(16 * 1024);
  let filled = 0;
  for (;;) {
    const count = await conn.read(buffer.subarray(filled));
    if (count === null) return;
    filled += count;
    for (;;) {
      const headEnd = buffer.subarray(0, filled).indexOf("\r\n\r\n");
      if (headEnd < 0) break;
      const head = buffer.toString("latin1", 0, headEnd);
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      const end = headEnd + 4 + length;
      if (end > buffer.length) {
        const larger = Buffer.alloc(2 * end);
        buffer.copy(larger, 0, 0, filled);
        buffer = larger;
      }
      if (filled < end) break;
      const answer = await take(head, buffer.subarray(headEnd + 4, end));
      if (answer === undefined) return await hang(conn);
      await conn.write(answer.bytes);
      if (answer.delivery !== undefined) answeredAt[answer.delivery] = now();
      buffer.copyWithin(0, end, filled);
      filled -= end;
    }
    if (filled === buffer.length) {
      const larger = Buffer.alloc(2 * filled);
      buffer.copy(larger);
      buffer = larger;
    }
  }
}

/** Records a request and returns the answer; undefined for a receiver that never answers. */
async function take(
  head: string,
  body: Buffer,
): Promise<{ bytes: Uint8Array; delivery?: number } | undefined> {
  const at = now();
  if (counts.firstAt === 0) counts.firstAt = at;
  const subscription = Number(/^POST \/r\/(\d+)/.exec(head)?.[1]);
  const text = body.toString("latin1");
  const event = readEvent(text);
  if (!event || Number.isNaN(subscription)) {
    counts.unreadable++;
    return { bytes: OK };
  }
  if (!isSigned(head, body)) {
    counts.badlySigned++;
    return { bytes: OK };
  }
  if (hanging.has(subscription)) return undefined;
  const delivery = event.seq * perEvent + (perEvent === 1 ? 0 : subscription);
  if (refusedShare > 0 && isRefused(event.seq)) {
    if (states[delivery] === NEW) counts.refused++;
    states[delivery] = REFUSED;
    return { bytes: REFUSAL };
  }
  if (delivery >= states.length) counts.unreadable++;
  else if (states[delivery] !== NEW) counts.repeated++;
  else {
    states[delivery] = ARRIVED;
    times[delivery] = at - event.sentAt;
    counts.arrived++;
    counts.lastAt = at;
    if (waiting && counts.arrived >= waiting.count) waiting.tell();
  }
  if (delayMs > 0) await new Promise((resolve) => setTimeout(resolve, delayMs));
  return { bytes: OK, delivery };
}

/** Standard Webhooks' symmetric signature (standardwebhooks.com, "Signature scheme"). */
function isSigned(head: string, body: Buffer): boolean {
  const header = (name: RegExp) => name.exec(head)?.[1] ?? "";
  const signed = `${header(/\r\nwebhook-id: *([^\r]*)/i)}.${
    header(/\r\nwebhook-timestamp: *([^\r]*)/i)
  }.`;
  const expected = createHmac("sha256", key).update(signed).update(body)
    .digest();
  const given = Buffer.from(
    header(/\r\nwebhook-signature: *v1,([^\r ]*)/i),
    "base64",
  );
  return given.length === expected.length && timingSafeEqual(given, expected);
}

/** Chooses the same events every time, spread evenly. */
function isRefused(seq: number): boolean {
  return Math.imul(seq + 1, 0x9e3779b1) >>> 0 < refusedShare * 2 ** 32;
}

/** Reads until the other side closes. */
async function hang(conn: Deno.Conn): Promise<void> {
  const rest = new Uint8Array(1_024);
  while (await conn.read(rest) !== null);
}

function response(status: string, body: string): Uint8Array {
  return new TextEncoder().encode(
    `HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
}

const OK = response("200 OK", "ok");
const REFUSAL = response("503 Service Unavailable", "later");

if (import.meta.main) {
  await serveCommands(
    { open, expect, behave, wait, mark, report } satisfies ReceiverCommands,
  );
}
