import type { Env, Hono } from "hono";
import { METHOD_NAME_ALL } from "hono/router";

/** The methods that something answers at a path; none where nothing is there. */
export function allowedMethods<E extends Env>(app: Hono<E>, path: string): string[] {
  const allowed = METHODS.filter((method) =>
    // Middleware is there for all methods; a route is for one.
    app.router.match(method, path)[0].some(([[, route]]) => route.method !== METHOD_NAME_ALL)
  );
  return allowed.includes("GET") ? [...allowed, "HEAD"] : allowed;
}

const METHODS: readonly string[] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
