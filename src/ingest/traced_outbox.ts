import type { Enqueued, Outbox } from "../outbox/outbox.ts";
import type { Tracing } from "../runtime/tracing.ts";

/** Wraps an outbox: records a span for each stored event, and stores its traceparent with it. */
export function tracedOutbox(
  outbox: Pick<Outbox, "enqueue">,
  tracing: Tracing,
): Pick<Outbox, "enqueue"> {
  return {
    async enqueue(request) {
      const traced = request.events.map((incoming) => {
        const { event, publisher } = incoming;
        const span = tracing.accepting({ event: event.id, type: event.type, publisher });
        return { span, incoming: { ...incoming, event: { ...event, trace: span.traceparent } } };
      });
      const fail = (reason: string) => traced.forEach(({ span }) => span.fail(reason));
      let enqueued: Enqueued;
      try {
        enqueued = await outbox.enqueue({
          ...request,
          events: traced.map(({ incoming }) => incoming),
        });
      } catch (error) {
        fail("it could not be stored");
        throw error;
      }
      if (enqueued.kind !== "accepted") {
        fail("another content has its id or its key");
        return enqueued;
      }
      // A receipt doesn't say whether its event was new.
      const isNew = enqueued.stored > 0;
      for (const [index, { span }] of traced.entries()) {
        span.end({ deliveries: enqueued.receipts[index]?.deliveries.length ?? 0, isNew });
      }
      return enqueued;
    },
  };
}
