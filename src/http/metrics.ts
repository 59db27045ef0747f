import { Hono } from "hono";
import type { AccessVariables } from "./access.ts";

/** Where the numbers come from, and go. */
export interface MetricsPorts {
  /** All numbers in Prometheus' text format, piece by piece. */
  readonly metrics: () => AsyncIterable<string>;
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
