/** A daemon with a past: real config, real database, real receivers, and everything going on. */
import { loadConfig } from "../../src/config/load.ts";
import { ConfigMemory } from "../../src/config/memory.ts";
import { readOrigins } from "../../src/config/origins.ts";
import { Turn } from "../../src/runtime/turn.ts";
import type { Instant } from "../../src/domain/instant.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import type { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import type { Claim, Enqueued, Recording } from "../../src/outbox/outbox.ts";
import { formatOf } from "../../src/profiles/render.ts";
import type { Config } from "../../src/config/config.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { until } from "../support/until.ts";

export const TOKEN = "ada-s-token-of-the-house";

export interface House {
  readonly daemon: TestDaemon;
  readonly url: string;
  /** Where the config file is, to be changed. */
  readonly configPath: string;
  /** What receivers have been sent, path and body. */
  readonly received: { readonly path: string; readonly body: string }[];
  /** Calls the API as the operator. */
  call: TestDaemon["call"];
  [Symbol.asyncDispose](): Promise<void>;
}

const MINUTE = 60_000, HOUR = 60 * MINUTE;

/** Builds it; `hours` is how far back its past goes. */
export async function aHouse({ hours = 3 }: { hours?: number } = {}): Promise<House> {
  const directory = await Deno.makeTempDir();
  const received: House["received"] = [];
  const receivers = startReceivers(received);
  const configPath = `${directory}/config.json`;
  await Deno.writeTextFile(configPath, JSON.stringify(words(receivers.addr.port), null, 2));
  const memory = new ConfigMemory();
  const sources = {
    env: (name: string) => SECRETS[name],
    file: () => Promise.reject(new Error("no files here")),
    credential: () => Promise.resolve(undefined),
  };
  const load = () => loadConfig(configPath, sources, { memory });
  const read = (path: string) => Deno.readTextFile(path);
  const loaded = await load();
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  await seed(loaded.config, { now: systemClock.wall(), hours });
  const daemon = await aDaemon(loaded.config, {
    reload: load,
    origins: (of) =>
      readOrigins(of, { path: configPath, memory, read, turn: new Turn(systemClock) }),
  });
  const call: TestDaemon["call"] = (method, path, body) =>
    daemon.call(method, path, body, { authorization: `Bearer ${TOKEN}` });
  await call("POST", "/v1/subscriptions/pms-sync/pause");
  const posted: string[] = [];
  for (const event of POSTED) {
    const { body } = await call("POST", "/v1/events", event);
    posted.push(...body.deliveries.map(({ id }: { id: string }) => id));
  }
  await call("POST", "/v1/subscriptions/guest-app/test", {});
  await until(async () => {
    const { body } = await call("GET", "/v1/deliveries?state=pending&limit=500");
    // deno-lint-ignore no-explicit-any -- an answer of the API
    return body.items.every((one: any) => one.held || one.attemptCount > 0);
  }, "everything was attempted once");
  return {
    daemon,
    url: daemon.url,
    configPath,
    received,
    call,
    async [Symbol.asyncDispose]() {
      await daemon.stop();
      await receivers.shutdown();
      await Deno.remove(directory, { recursive: true });
    },
  };
}

/** Nothing of these may be on a page. */
export const SECRETS: Readonly<Record<string, string>> = {
  ADA_TOKEN: TOKEN,
  PMS_TOKEN: "the-token-of-the-pms",
  SHARED: "s3cret-shared-with-receivers",
  STANDARD: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
};

function words(port: number) {
  const url = (path: string) => `http://127.0.0.1:${port}/${path}`;
  const secret = { env: "SHARED" };
  return {
    server: { listen: "127.0.0.1:0", shutdownGrace: "1s" },
    auth: {
      operators: [{ name: "ada", token: { env: "ADA_TOKEN" } }],
      publishers: [{ name: "pms", token: { env: "PMS_TOKEN" } }],
    },
    storage: { url: "sqlite:bellhook.db" },
    delivery: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] },
    eventTypes: {
      "booking.created": {
        description: "A guest has booked",
        example: { booking_id: "bk_12345", guest_name: "Juan dela Cruz", total: "6000.00" },
      },
      "booking.cancelled": { description: "A booking was called off", example: { id: "bk_1" } },
      "payment.received": { description: "Money has come in" },
      "contact.created": { description: "A guest is on file", example: { contact_id: "c_7" } },
      booking_created: { description: "The channel manager's name of it", example: { id: 1 } },
    },
    subscriptions: [
      {
        id: "guest-app",
        description: "The app that guests have on their phones",
        url: url("guests"),
        events: ["booking.*", "payment.received"],
        profile: "roostsync",
        secret,
        headers: { "X-Tenant": "hotel-42", "X-Key": { env: "SHARED" } },
      },
      {
        id: "venue-crm",
        url: url("venues"),
        events: ["contact.*"],
        profile: "bookingshake",
        scope: { venue_id: "*" },
        secret,
      },
      { id: "erp", url: url("erp"), events: ["booking.*"], secret: { env: "STANDARD" } },
      {
        id: "pms-sync",
        url: url("pms"),
        events: ["booking_created"],
        profile: "bookingsync",
        secret,
      },
      {
        id: "reports",
        description: "Waits for its server",
        url: url("reports"),
        events: ["*"],
        secret: { env: "STANDARD" },
        enabled: false,
        match: { total: [{ ">=": 1000 }] },
      },
      {
        id: "scheduler",
        url: url("scheduler"),
        events: ["booking.cancelled"],
        profile: "bookingscheduler",
        secret,
        scope: { venue_id: ["v1"] },
      },
    ],
  };
}

/** Without it the guests' app would get nothing: its body needs the property. */
const IN_MANILA = { property_id: "prop_1" };

const POSTED = [
  {
    type: "booking.created",
    scope: IN_MANILA,
    data: { booking_id: "bk_1", note: "<b>late</b> check-in & a cot" },
  },
  { type: "payment.received", scope: IN_MANILA, data: { amount: "120.00", currency: "EUR" } },
  { type: "contact.created", scope: { venue_id: "v1" }, data: { contact_id: "c_7" } },
  { type: "booking_created", scope: { account_id: 7 }, data: { id: 1 } },
  {
    type: "booking.cancelled",
    scope: { venue_id: "v1", ...IN_MANILA },
    data: { booking_id: "bk_1" },
  },
];

function startReceivers(received: House["received"]): Deno.HttpServer<Deno.NetAddr> {
  return Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = new URL(request.url).pathname.slice(1);
    received.push({ path, body: await request.text() });
    switch (path) {
      case "venues":
        return new Response(HOSTILE, { status: 500, headers: { "content-type": "text/html" } });
      case "erp":
        return new Response('{"error":"maintenance","until":"soon"}', { status: 503 });
      default:
        return Response.json({ ok: true, seen: 1 });
    }
  });
}

/** What a receiver may answer to make mischief on the page that shows it. */
export const HOSTILE = `<!DOCTYPE html><script>document.title = "owned"</script>` +
  `<img src=x onerror="document.title = 'owned'">\u202e</pre></code> Internal Server Error`;

/** Lets the past happen, by the outbox's own door. */
async function seed(config: Config, { now, hours }: { now: Instant; hours: number }) {
  const outbox = await openSqliteOutbox(config.storage.path);
  const find = (id: string) => config.subscriptions.find((one) => one.id === id)!;
  let failingSince: Instant | undefined;
  for (let ago = hours; ago > 0; ago--) {
    const at = now - ago * HOUR - 10 * MINUTE;
    const day = Math.round(12 + 9 * Math.sin((at % (24 * HOUR)) / (24 * HOUR) * 2 * Math.PI));
    await pass(outbox, find("guest-app"), { at, count: day, failEvery: 11 });
    if (ago % 2 === 0) await pass(outbox, find("erp"), { at, count: 6, failEvery: 3 });
    if (ago % 5 === 0) await pass(outbox, find("scheduler"), { at, count: 1, failEvery: 99 });
    if (ago < 30 && ago % 4 === 3) {
      failingSince = await exhaust(outbox, find("venue-crm"), { at, failingSince });
    }
  }
  for (let minutes = 58; minutes > 1; minutes -= 4) {
    const at = now - minutes * MINUTE, count = 1 + minutes % 3;
    await pass(outbox, find("guest-app"), { at, count, failEvery: 9 });
    if (minutes % 5 === 0) await pass(outbox, find("erp"), { at, count: 2, failEvery: 3 });
  }
  await outbox.close();
}

async function enqueue(
  outbox: SqliteOutbox,
  subscription: Subscription,
  { at, count, type }: { at: Instant; count: number; type: string },
): Promise<readonly Claim[]> {
  const events = Array.from({ length: count }, (_, index) => ({
    event: {
      id: `evt_${subscription.id}_${at}_${index}`,
      type,
      occurredAt: at,
      scope: new Map<string, string>(),
      data: `{"booking_id":"bk_${at}_${index}","total":1.10}`,
    },
    deliveries: [{
      subscription: subscription.id,
      format: formatOf(subscription),
      cause: "event" as const,
      claim: true,
    }],
  }));
  const enqueued: Enqueued = await outbox.enqueue({ events, at });
  return enqueued.kind === "accepted" ? enqueued.claims : [];
}

/** Deliveries that arrive, some of them at the second attempt. */
async function pass(
  outbox: SqliteOutbox,
  subscription: Subscription,
  { at, count, failEvery }: { at: Instant; count: number; failEvery: number },
): Promise<void> {
  const claims = await enqueue(outbox, subscription, { at, count, type: "booking.created" });
  await Promise.all(claims.map(async (claim, index) => {
    const isLate = (Math.floor(at / MINUTE / 2) * 7 + index) % failEvery === 0;
    if (!isLate) return await outbox.record(outcome(claim, subscription, { at, status: 200 }));
    const retry = { at, status: 503, dueAt: at + MINUTE };
    await outbox.record(outcome(claim, subscription, retry));
    const { claims: [again] } = await outbox.claim({
      subscription: subscription.id,
      now: at + MINUTE,
      limit: 1,
    });
    if (again) await outbox.record(outcome(again, subscription, { at: at + MINUTE, status: 200 }));
  }));
}

/** A delivery that climbs its whole ladder in vain; answers since when its subscription is failing. */
async function exhaust(
  outbox: SqliteOutbox,
  subscription: Subscription,
  { at, failingSince }: { at: Instant; failingSince: Instant | undefined },
): Promise<Instant> {
  let [claim] = await enqueue(outbox, subscription, { at, count: 1, type: "contact.created" });
  for (let when = at, rung = 0;; rung++) {
    const waitMs = subscription.ladder.waitsMs[rung];
    const dueAt = waitMs === undefined ? undefined : when + waitMs;
    const status = 500;
    await outbox.record(
      outcome(claim!, subscription, {
        at: when,
        status,
        ...(failingSince === undefined ? {} : { failingSince }),
        ...(dueAt === undefined ? {} : { dueAt }),
      }),
    );
    if (dueAt === undefined) return failingSince ?? when;
    when = dueAt;
    const { claims } = await outbox.claim({ subscription: subscription.id, now: dueAt, limit: 1 });
    claim = claims[0];
  }
}

function outcome(
  claim: Claim,
  subscription: Subscription,
  { at, status, dueAt, failingSince }: {
    at: Instant;
    status: number;
    dueAt?: Instant;
    failingSince?: Instant;
  },
): Recording {
  const succeeded = status === 200;
  const number = claim.delivery.attemptCount + 1;
  const durationMs = 20 + (at / 1_000 + number * 37) % 180;
  const lastResult = { at: at + durationMs, status };
  const health = succeeded ? { lastSuccessAt: at, consecutiveFailures: 0, lastResult } : {
    consecutiveFailures: number,
    failuresSince: failingSince ?? at,
    lastResult,
    ...(dueAt === undefined
      ? { failingSince: failingSince ?? at, changedAt: failingSince ?? at }
      : {}),
  };
  return {
    claim,
    at: at + durationMs,
    attempt: {
      number,
      startedAt: at,
      durationMs,
      result: succeeded ? "success" : "failure",
      url: subscription.url,
      requestHeaders: [
        ["Content-Type", "application/json"],
        ["webhook-id", claim.event.id],
        ["X-Key", "[redacted]"],
      ],
      outcome: {
        kind: "answered",
        status,
        headers: [["content-type", succeeded ? "application/json" : "text/html"]],
        body: new TextEncoder().encode(succeeded ? '{"ok":true}' : HOSTILE),
        truncated: false,
        remoteAddress: "127.0.0.1",
      },
    },
    verdict: succeeded ? { kind: "delivered" } : dueAt === undefined
      ? {
        kind: "exhausted",
        reason: `attempt ${number}, the last, failed: the receiver answered 500`,
      }
      : { kind: "retry", dueAt },
    health,
    ...(dueAt === undefined && !succeeded && failingSince === undefined
      ? {
        history: [{
          at,
          kind: "failing" as const,
          subscription: subscription.id,
          delivery: claim.delivery.id,
          cause: "the receiver answered 500",
        }],
      }
      : {}),
  };
}
