import { Hono } from "hono";
import type { Clock } from "../runtime/clock.ts";
import type { AccessVariables } from "./access.ts";
import type { ChangeFeed, NumberedChange } from "./change_feed.ts";
import { deliveryView, healthView, type IsHeld } from "./views.ts";

/** How often a line without meaning goes out, so that proxies and clients see the stream alive. */
const PING_MS = 5_000;
/** A client that has this many changes unread misses the rest, and is told so. */
const MAX_UNREAD = 2_000;

export interface StreamPorts {
  readonly feed: ChangeFeed;
  readonly clock: Clock;
  readonly isHeld: IsHeld;
  readonly isEnabled: (subscription: string) => boolean;
  /** Takes a way to end the stream; the answer takes it back. */
  readonly onShutdown: (end: () => void) => () => void;
}

/** `GET /v1/stream`: state changes as server-sent events (WHATWG HTML, section 9.2). */
export function streamRoutes(ports: StreamPorts): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.get("/", (context) => {
    // A HEAD's answer has no body whose end could be noticed.
    if (context.req.method === "HEAD") return context.body(null, 200, HEADERS);
    return context.body(changesFrom(ports, context.req.header("last-event-id")), 200, HEADERS);
  });
  return routes;
}

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // Else nginx holds the stream back.
  "x-accel-buffering": "no",
};

function changesFrom(ports: StreamPorts, lastEventId: string | undefined) {
  const { feed, clock } = ports;
  const encoder = new TextEncoder();
  let end = () => {};
  return new ReadableStream<Uint8Array>({
    start(controller) {
      let cancelPing = () => {};
      const write = (text: string) => controller.enqueue(encoder.encode(text));
      const tell = (changes: readonly NumberedChange[]) => {
        if ((controller.desiredSize ?? 0) > 0) {
          for (const change of changes) write(asEvent(change, ports));
        } else {
          gapAt = changes.at(-1)!.number;
        }
      };
      /** The last change that an unread backlog swallowed. */
      let gapAt: number | undefined;
      function ping(): void {
        if (gapAt !== undefined && (controller.desiredSize ?? 0) > 0) {
          write(gap(feed.run, gapAt));
          gapAt = undefined;
        } else if (gapAt === undefined) write(": ping\n\n");
        cancelPing = clock.after(PING_MS, ping);
      }

      const missed = catchUp(feed, lastEventId);
      // Without an event, this id is what a client comes back with that has seen none.
      const id = lastEventId === undefined ? `id: ${feed.run}-${feed.lastNumber}\n` : "";
      write(`${id}retry: 2000\n\n`);
      if (missed === undefined) write(gap(feed.run, feed.lastNumber));
      else for (const change of missed) write(asEvent(change, ports));
      const leave = feed.listen(tell);
      const forget = ports.onShutdown(() => {
        end();
        controller.close();
      });
      cancelPing = clock.after(PING_MS, ping);
      end = () => {
        leave();
        forget();
        cancelPing();
      };
    },
    cancel: () => end(),
  }, { highWaterMark: MAX_UNREAD });
}

/** What a client that comes back has missed; undefined where that is not known any more. */
function catchUp(feed: ChangeFeed, lastEventId: string | undefined) {
  if (lastEventId === undefined) return [];
  const [run, number] = lastEventId.split("-");
  return run === feed.run && /^\d+$/.test(number ?? "") ? feed.since(Number(number)) : undefined;
}

/** Tells a client that changes are missing: it has to read the lists anew. */
function gap(run: string, number: number): string {
  return `id: ${run}-${number}\nevent: gap\ndata: {}\n\n`;
}

function asEvent({ number, change }: NumberedChange, ports: StreamPorts): string {
  const data = change.kind === "delivery" ? deliveryView(change.delivery, ports.isHeld) : {
    id: change.subscription,
    health: healthView(change.health, {
      enabled: ports.isEnabled(change.subscription),
      pending: change.pending,
    }),
  };
  return `id: ${ports.feed.run}-${number}\nevent: ${change.kind}\ndata: ${
    JSON.stringify(data)
  }\n\n`;
}
