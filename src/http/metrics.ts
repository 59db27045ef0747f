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
    const pieces = ReadableStream.from(ports.metrics()).pipeThrough(new TextEncoderStream());
    return context.body(pieces, 200, {
      "content-type": "text/plain; version=0.0.4; charset=utf-8",
    });
  });
  return routes;
}
