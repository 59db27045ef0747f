import type { Env, Hono } from "hono";
import { METHOD_NAME_ALL } from "hono/router";

/** The methods that have a route at a path; empty if there is none. */
export function allowedMethods<E extends Env>(app: Hono<E>, path: string): string[] {
  const allowed = METHODS.filter((method) =>
    // Middleware is registered for all methods, a route for one.
    app.router.match(method, path)[0].some(([[, route]]) => route.method !== METHOD_NAME_ALL)
  );
  return allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
}

const METHODS: readonly string[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
