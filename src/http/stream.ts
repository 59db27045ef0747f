import { Hono } from "hono";
import type { Clock } from "../runtime/clock.ts";
import type { AccessVariables } from "./access.ts";
import type { ChangeFeed, NumberedChange } from "./change_feed.ts";
import { deliveryView, healthView, type IsHeld } from "./views.ts";

/** How often a comment line is sent, so that proxies and clients see that the stream is alive. */
const PING_MS = 5_000;
/** A client with this many unread changes misses the next ones, and gets a `gap` event. */
const MAX_UNREAD = 2_000;

export interface StreamPorts {
  readonly feed: ChangeFeed;
  readonly clock: Clock;
  readonly isHeld: IsHeld;
  readonly isEnabled: (subscription: string) => boolean;
  /** Registers a callback for the daemon's stop; returns a function that removes it. */
  readonly onShutdown: (end: () => void) => () => void;
}

/** `GET /v1/stream`: state changes as server-sent events (WHATWG HTML, section 9.2). */
export function streamRoutes(ports: StreamPorts): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.get("/", (context) => {
    // The answer to HEAD has no body, so nothing would ever end the stream.
    if (context.req.method === "HEAD") return context.body(null, 200, HEADERS);
    return context.body(changesFrom(ports, context.req.header("last-event-id")), 200, HEADERS);
  });
  return routes;
}

const HEADERS = {
  "content-type": "text/event-stream",
  "cache-control": "no-store",
  // Otherwise nginx buffers the stream.
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
      const send = (changes: readonly NumberedChange[]) => {
        if ((controller.desiredSize ?? 0) > 0) {
          for (const change of changes) write(asEvent(change, ports));
        } else {
          gapAt = changes.at(-1)!.number;
        }
      };
      /** The last change that was dropped because of unread ones. */
      let gapAt: number | undefined;
      function ping(): void {
        if (gapAt !== undefined && (controller.desiredSize ?? 0) > 0) {
          write(gap(feed.run, gapAt));
          gapAt = undefined;
        } else if (gapAt === undefined) write(": ping\n\n");
        cancelPing = clock.after(PING_MS, ping);
      }

      const missed = catchUp(feed, lastEventId);
      // If the connection breaks before the first event, the client reconnects with this id.
      const id = lastEventId === undefined ? `id: ${feed.run}-${feed.lastNumber}\n` : "";
      write(`${id}retry: 2000\n\n`);
      if (missed === undefined) write(gap(feed.run, feed.lastNumber));
      else for (const change of missed) write(asEvent(change, ports));
      const leave = feed.listen(send);
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

/** The changes that a reconnecting client has missed; undefined if they are no longer known. */
function catchUp(feed: ChangeFeed, lastEventId: string | undefined) {
  if (lastEventId === undefined) return [];
  const [run, number] = lastEventId.split("-");
  return run === feed.run && /^\d+$/.test(number ?? "") ? feed.since(Number(number)) : undefined;
}

/** An event that tells the client that it missed changes and must fetch the lists again. */
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
