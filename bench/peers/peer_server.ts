import { Hono } from "hono";
import { createHmac } from "node:crypto";
import { Agent, request } from "undici";
import type { Subscribed } from "../systems/system.ts";

/** An event and one of its subscriptions: an entry in a peer's queue. */
export interface Job {
  readonly event: {
    readonly id: string;
    readonly type: string;
    readonly timestamp: string;
    readonly data: unknown;
  };
  readonly subscription: string;
  readonly url: string;
}

/** What a peer stores for an attempt. */
export interface AttemptRecord {
  readonly status: number;
  readonly startedAt: number;
  readonly durationMs: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

/** The interface to a queue library. */
export interface Queue {
  /** Resolves to their ids once all are stored. */
  add(jobs: readonly Job[]): Promise<string[]>;
  hold(): Promise<void>;
  pending(): Promise<number>;
}

/** The retry schedule of Bellhook's `standard` profile, in seconds. */
export const LADDER_SECONDS = [60, 300, 1_800, 7_200, 86_400];

/** Concurrent deliveries: as many as Bellhook's ten subscriptions with sixteen each. */
export const CONCURRENCY = 160;

/** Accepts events over HTTP, with the same framework and server as Bellhook. */
export function servePeer(queue: Queue): void {
  const subscriptions = new ByType(
    JSON.parse(Deno.readTextFileSync(Deno.env.get("SUBSCRIPTIONS")!)),
  );
  const app = new Hono();
  app.get("/ready", (context) => context.text("ready"));
  app.post("/control/hold", async (context) => {
    await queue.hold();
    return context.text("held");
  });
  app.post(
    "/control/pending",
    async (context) => context.text(String(await queue.pending())),
  );
  app.post("/v1/events", async (context) => {
    const posted = await context.req.json() as Posted | Posted[];
    const events = (Array.isArray(posted) ? posted : [posted]).map((one) => ({
      id: crypto.randomUUID(),
      type: one.type,
      timestamp: new Date().toISOString(),
      data: one.data,
    }));
    const jobs = events.flatMap((event) =>
      subscriptions.wanting(event.type).map(({ id, url }) => ({
        event,
        subscription: id,
        url,
      }))
    );
    const ids = await queue.add(jobs);
    const receipts = events.map(({ id }) => ({
      id,
      deliveries: jobs.flatMap((job, i) =>
        job.event.id === id ? [{ id: ids[i], subscription: job.subscription }] : []
      ),
    }));
    return context.json(Array.isArray(posted) ? receipts : receipts[0]!, 202);
  });
  Deno.serve({
    hostname: "127.0.0.1",
    port: Number(Deno.env.get("PORT")),
    onListen() {},
  }, app.fetch);
}

interface Posted {
  readonly type: string;
  readonly data: unknown;
}

/** Who gets an event of a type. */
class ByType {
  readonly #byType = new Map<string, Subscribed[]>();
  readonly #ofAll: Subscribed[] = [];

  constructor(subscriptions: readonly Subscribed[]) {
    for (const subscription of subscriptions) {
      const { type } = subscription;
      if (type === "*") this.#ofAll.push(subscription);
      else if (this.#byType.has(type)) {
        this.#byType.get(type)!.push(subscription);
      } else this.#byType.set(type, [subscription]);
    }
  }

  wanting(type: string): readonly Subscribed[] {
    return [...this.#byType.get(type) ?? [], ...this.#ofAll];
  }
}

/** Makes one attempt: signs, posts, and returns the record. Throws if it failed. */
export async function deliver({ event, url }: Job): Promise<AttemptRecord> {
  const startedAt = Date.now();
  const body = JSON.stringify({
    type: event.type,
    timestamp: event.timestamp,
    data: event.data,
  });
  const timestamp = Math.floor(startedAt / 1_000);
  const signature = createHmac("sha256", KEY).update(
    `${event.id}.${timestamp}.${body}`,
  )
    .digest("base64");
  const response = await request(url, {
    method: "POST",
    body,
    dispatcher: AGENT,
    signal: AbortSignal.timeout(30_000),
    headers: {
      "content-type": "application/json",
      "webhook-id": event.id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": `v1,${signature}`,
    },
  });
  const text = await response.body.text();
  if (response.statusCode >= 300) {
    throw new Error(`the receiver answered ${response.statusCode}`);
  }
  return {
    status: response.statusCode,
    startedAt,
    durationMs: Date.now() - startedAt,
    headers: response.headers,
    body: text,
  };
}

const KEY = Uint8Array.fromBase64(
  Deno.env.get("SECRET")!.replace(/^whsec_/, ""),
);

const AGENT = new Agent({ connections: CONCURRENCY });
