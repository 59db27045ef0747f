import type { Context } from "hono";
import { type Delivery, isInState } from "../../domain/delivery.ts";
import { deliveriesQuery } from "../schemas.ts";
import type { ChangeFeed, NumberedChange } from "../change_feed.ts";
import type { Clock } from "../../runtime/clock.ts";
import { askedFor, type Filter, readerFilter } from "./delivery_filter.ts";
import type { DashboardEnv } from "./viewer.ts";

export interface LivePorts {
  readonly feed: ChangeFeed;
  readonly clock: Clock;
  readonly onShutdown: (end: () => void) => () => void;
}

/** However much happens, a page is told at most so often. */
const TELL_MS = 1_000;
const PING_MS = 5_000;
/** Beyond it, the exact number is of no use to anybody. */
const MAX_COUNTED = 1_000;

/**
 * Tells a list of deliveries how many are new, as server-sent events: a count, not the deliveries,
 * so that a page keeps up with any pace and asks for the list when it wants it.
 */
export function liveTail(
  { feed, clock, onShutdown }: LivePorts,
  context: Context<DashboardEnv>,
): Response {
  const isSignedIn = context.get("isSignedIn");
  const checked = deliveriesQuery.safeParse(askedFor(context.req.query()));
  if (!checked.success) return context.body(null, 422);
  const fits = fitting(checked.data);
  // A HEAD's answer has no body whose end could be noticed.
  if (context.req.method === "HEAD") return context.body(null, 200);
  const encoder = new TextEncoder();
  let end = () => {};
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      const fresh = new Set<string>();
      let changed = false, cancelTell: (() => void) | undefined, cancelPing = () => {};
      const write = (text: string) => {
        // Who does not read misses counts, which the next one makes up for.
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(text));
      };
      const tell = () => {
        cancelTell = undefined;
        if (!changed) return;
        changed = false;
        write(`data: ${JSON.stringify({ fresh: fresh.size, most: MAX_COUNTED })}\n\n`);
      };
      const take = (changes: readonly NumberedChange[]) => {
        for (const { change } of changes) {
          if (change.kind !== "delivery" || !fits(change.delivery)) continue;
          changed = true;
          if (fresh.size < MAX_COUNTED && isNew(change.delivery, checked.data)) {
            fresh.add(change.delivery.id);
          }
        }
        if (changed) cancelTell ??= clock.after(TELL_MS, tell);
      };
      const close = () => {
        end();
        controller.close();
      };
      const ping = () => {
        // Whoever has been signed out is told nothing more; asking again, the page finds out.
        if (!isSignedIn()) return close();
        write(": ping\n\n");
        cancelPing = clock.after(PING_MS, ping);
      };
      write("retry: 2000\n\n");
      write(`data: ${JSON.stringify({ fresh: 0, most: MAX_COUNTED })}\n\n`);
      const leave = feed.listen(take);
      const forget = onShutdown(close);
      cancelPing = clock.after(PING_MS, ping);
      end = () => {
        leave();
        forget();
        cancelTell?.();
        cancelPing();
      };
    },
    cancel: () => end(),
  }, { highWaterMark: 16 });
  context.header("content-type", "text/event-stream");
  context.header("x-accel-buffering", "no");
  return context.body(stream, 200);
}

/** Whether a delivery belongs into the list; of status and payload a change tells nothing. */
function fitting(filter: Filter): (delivery: Delivery) => boolean {
  const { subscription, type, state, eventId, since = 0 } = readerFilter(filter);
  return (delivery) =>
    (state === undefined || isInState(delivery, state)) &&
    (subscription === undefined || delivery.subscription === subscription) &&
    (type === undefined || delivery.type === type) &&
    (eventId === undefined || delivery.eventId === eventId ||
      delivery.eventSentAs === eventId) &&
    delivery.createdAt >= since;
}

/** New to the list: just created, or, in a list of one state, just come into it. */
function isNew({ state, attemptCount }: Delivery, filter: Filter): boolean {
  return filter.state === undefined || filter.state === "pending"
    ? state === "pending" && attemptCount === 0
    : true;
}
