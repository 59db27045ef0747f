import { Hono } from "hono";
import type { AccessVariables } from "./access.ts";

export interface MetricsPorts {
  /** All metrics in Prometheus' text format, in pieces. */
  readonly metrics: () => AsyncIterable<string>;
}

/** `GET /metrics`. */
export function metricsRoutes(ports: MetricsPorts): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.get("/", (context) => {
    return context.body(streamOf(ports.metrics()), 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  });
  return routes;
}

/** Nothing is read before somebody wants it: to HEAD nobody does. */
function streamOf(pieces: AsyncIterable<string>): ReadableStream<Uint8Array> {
  const encoder = new TextEncoder(), iterator = pieces[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next();
      if (done) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
    async cancel() {
      await iterator.return?.();
    },
  }, { highWaterMark: 0 });
}
