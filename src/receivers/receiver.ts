import type { Instant } from "../domain/instant.ts";
import type { Profile } from "../domain/profile.ts";
import type { Secret } from "../domain/secret.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Verification } from "./verification.ts";
import { verify } from "./verify.ts";

/** What a receiver verifies, and the failures it simulates. */
export interface ReceiverOptions {
  readonly profile: Profile;
  readonly secret?: Secret;
  readonly clock: Clock;
  /** Called for every request, when its answer is ready or the sender has stopped waiting. */
  readonly onReceived: (received: Received) => void;
  /** 0, the default, picks a free port. The host is always 127.0.0.1. */
  readonly port?: number;
  /** Answers every request with this status, 200 to 599. */
  readonly fail?: number;
  /** Answers this many requests with 503, then normally. */
  readonly failFirst?: number;
  /** Waits this long before each answer. */
  readonly delayMs?: number;
}

/** A running receiver. */
export interface Receiver {
  readonly port: number;
  /** `http://127.0.0.1:PORT/` */
  readonly url: string;
  /** Closes at once, and aborts requests in progress. */
  stop(): Promise<void>;
}

/** One request and its result. */
export type Received = Verified & Answered;

interface Verified {
  /** Undefined if the body doesn't name one. */
  readonly event?: string;
  readonly profile: string;
  readonly durationMs: number;
  readonly verified: boolean;
  /** Whether a signature was checked; false for formats without one. */
  readonly signed: boolean;
  readonly problem?: string;
  readonly webhookId?: string;
  /** How often this event has arrived, by webhook-id or Idempotency-Key: 2 is the first retry. */
  readonly attemptHint?: number;
}

type Answered =
  | { readonly status: number; readonly unanswered?: never }
  /** Why a delayed answer was never sent. */
  | { readonly unanswered: Unanswered; readonly status?: never };

type Unanswered = "the sender had gone" | "this receiver was stopped";

/** Larger than any webhook here. */
const MAX_BODY_BYTES = 4 * 1024 * 1024;

/** Starts a server on loopback that verifies each request against the profile. */
export function startReceiver(options: ReceiverOptions): Receiver {
  const { profile, clock, fail, delayMs = 0 } = options;
  if (fail !== undefined && !(Number.isInteger(fail) && fail >= 200 && fail <= 599)) {
    throw new RangeError(`cannot answer with status ${fail}: a final status is from 200 to 599`);
  }
  const stopping = new AbortController();
  const sightings = new Sightings();
  let failuresLeft = options.failFirst ?? 0;

  async function respond(request: Request): Promise<Response> {
    const startedMs = clock.monotonicMs();
    const receivedAt = clock.wall();
    const fails = options.failFirst === undefined ? fail !== undefined : failuresLeft-- > 0;
    const forced = fails ? fail ?? 503 : undefined;
    const judged = await judge(request, options, receivedAt);
    const unanswered = delayMs > 0
      // Only here: without --unstable-no-legacy-abort, Deno warns once `request.signal` is read.
      ? await delay(clock, delayMs, { gone: request.signal, stopping: stopping.signal })
      : undefined;
    const { verification } = judged;
    const status = forced ?? judged.status;
    const webhookId = request.headers.get("webhook-id");
    const attemptHint = sightings.count(webhookId ?? request.headers.get("idempotency-key"));
    options.onReceived({
      ...(verification.event !== undefined && { event: verification.event }),
      profile: profile.name,
      ...(unanswered === undefined ? { status } : { unanswered }),
      durationMs: clock.monotonicMs() - startedMs,
      verified: verification.ok,
      signed: verification.ok && verification.signed,
      ...(!verification.ok && { problem: verification.problem }),
      ...(webhookId !== null && { webhookId }),
      ...(attemptHint !== undefined && { attemptHint }),
    });
    return answer(status, forced === undefined ? verification : undefined);
  }

  const server = Deno.serve({
    hostname: "127.0.0.1",
    port: options.port ?? 0,
    signal: stopping.signal,
    onListen: () => {},
    // A peer that disconnects halfway is no error of ours.
    onError: () => new Response(null, { status: 500 }),
  }, respond);
  return {
    port: server.addr.port,
    url: `http://127.0.0.1:${server.addr.port}/`,
    async stop() {
      stopping.abort();
      await server.finished;
    },
  };
}

interface Judged {
  readonly status: number;
  readonly verification: Verification;
}

async function judge(
  request: Request,
  { profile, secret }: ReceiverOptions,
  receivedAt: Instant,
): Promise<Judged> {
  const rawBody = await readAtMost(request.body, MAX_BODY_BYTES);
  if (rawBody === undefined) {
    return refused(413, `the body is longer than ${MAX_BODY_BYTES} bytes, expected a webhook`);
  }
  if (request.method !== "POST") {
    return refused(405, `the method is ${request.method}, expected POST`);
  }
  const verification = verify(
    profile,
    { headers: request.headers, rawBody, receivedAt },
    secret?.reveal(),
  );
  if (verification.ok) return { status: 200, verification };
  return { status: verification.kind === "signature" ? 401 : 400, verification };
}

function refused(status: number, problem: string): Judged {
  return { status, verification: { ok: false, kind: "form", problem } };
}

/** The whole body. Undefined if it is longer; the rest then stays unread. */
async function readAtMost(
  body: ReadableStream<Uint8Array<ArrayBuffer>> | null,
  most: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let length = 0;
  for await (const piece of body ?? []) {
    length += piece.length;
    if (length > most) return undefined;
    pieces.push(piece);
  }
  return new Uint8Array(await new Blob(pieces).arrayBuffer());
}

/** Waits `ms`, or until nobody waits for the answer any more; then resolves to the reason. */
function delay(
  clock: Clock,
  ms: number,
  { gone, stopping }: { gone: AbortSignal; stopping: AbortSignal },
): Promise<Unanswered | undefined> {
  const { promise, resolve } = Promise.withResolvers<Unanswered | undefined>();
  const takeBack = clock.after(ms, () => resolve(undefined));
  const onGone = () => resolve("the sender had gone");
  const onStop = () => resolve("this receiver was stopped");
  gone.addEventListener("abort", onGone);
  stopping.addEventListener("abort", onStop);
  if (gone.aborted) onGone();
  return promise.finally(() => {
    takeBack();
    gone.removeEventListener("abort", onGone);
    stopping.removeEventListener("abort", onStop);
  });
}

/** Counts how often each id has arrived. */
class Sightings {
  readonly #counts = new Map<string, number>();

  count(id: string | null): number | undefined {
    if (id === null) return undefined;
    const count = (this.#counts.get(id) ?? 0) + 1;
    this.#counts.delete(id);
    this.#counts.set(id, count);
    // Drop the oldest, so that memory stays small in a receiver that runs for weeks.
    if (this.#counts.size > 10_000) this.#counts.delete(this.#counts.keys().next().value!);
    return count;
  }
}

/** These statuses have no body (RFC 9110). */
const BODILESS = [204, 205, 304];

function answer(status: number, verification: Verification | undefined): Response {
  const text = verification === undefined
    ? `status ${status}, as this receiver was told to\n`
    : verification.ok
    ? "ok\n"
    : `${verification.problem}\n`;
  const headers = new Headers({ "Content-Type": "text/plain; charset=utf-8" });
  if (status === 405) headers.set("Allow", "POST");
  if (BODILESS.includes(status)) return new Response(null, { status });
  return new Response(text, { status, headers });
}

/** Formats one request as a line: event, profile, status, duration and the result of verifying. */
export function formatReceived(
  received: Received,
  { colour, cells = usualCells }: {
    colour: boolean;
    /** Pads event and profile to the width of their columns. */
    cells?: (event: string, profile: string) => readonly [event: string, profile: string];
  },
): string {
  const paint = (code: number, text: string) => colour ? `\x1b[${code}m${text}\x1b[0m` : text;
  const { event = "(no event)", profile, durationMs, verified, attemptHint } = received;
  const { status, unanswered } = received;
  const isGood = status !== undefined && status < 300;
  const [eventCell, profileCell] = cells(printable(event), profile);
  const columns = [
    paint(BOLD, eventCell),
    profileCell,
    paint(isGood ? GREEN : RED, String(status ?? "---")),
    `${Math.round(durationMs)} ms`.padStart(7),
    paint(verified ? GREEN : RED, verdictOf(received)),
  ];
  if (attemptHint !== undefined && attemptHint > 1) columns.push(`(attempt ${attemptHint})`);
  if (unanswered !== undefined) columns.push(paint(RED, `(not answered: ${unanswered})`));
  return columns.join("  ");
}

function usualCells(event: string, profile: string): readonly [string, string] {
  return [event.padEnd(24), profile.padEnd(16)];
}

const BOLD = 1, RED = 31, GREEN = 32;

function verdictOf({ verified, signed, problem }: Received): string {
  if (!verified) return printable(problem ?? "not verified");
  return signed ? "signature good" : "no signature in this format";
}

/** Escapes control and format characters, so that text from outside can't control the terminal. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`,
  );
}
