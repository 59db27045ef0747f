import { Hono, type MiddlewareHandler } from "hono";
import type { AccessVariables } from "./access.ts";

/** Where the numbers come from, and go. */
export interface MetricsPorts {
  /** All numbers in Prometheus' text format, piece by piece. */
  readonly metrics: () => AsyncIterable<string>;
  /** Told of each publisher's request that was answered with an error, and its status. */
  readonly onRefused: (status: number) => void;
}

/** `GET /metrics`. */
export function metricsRoutes(ports: MetricsPorts): Hono<{ Variables: AccessVariables }> {
  const routes = new Hono<{ Variables: AccessVariables }>();
  routes.get("/", (context) => {
    const pieces = ReadableStream.from(ports.metrics()).pipeThrough(new TextEncoderStream());
    return context.body(pieces, 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  });
  return routes;
}

/** Counts publishers' requests that are refused, by whichever rule: it stands before all of them. */
export function countRefusals(ports: MetricsPorts): MiddlewareHandler {
  return async (context, next) => {
    await next();
    if (context.req.method === "POST" && context.res.status >= 400) {
      ports.onRefused(context.res.status);
    }
  };
}
