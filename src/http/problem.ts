import type { ContentfulStatusCode } from "hono/utils/http-status";

/** An error response: `application/problem+json` (RFC 9457). */
export interface Problem {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  /** What was tried, what was found, how to fix it. */
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** When to try again. */
  readonly retryAfterSeconds?: number;
  /** The rule that refuses it, for the metrics; needed if the status has several rules. */
  readonly rule?: string;
  /** The methods that the path supports. */
  readonly allow?: readonly string[];
}

/** Headers of every API answer: no caching, and no content sniffing in browsers. */
export const NOT_CACHED = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
} as const;

/** The response for a problem. */
export function problem({ retryAfterSeconds, allow, rule: _, ...body }: Problem): Response {
  return new Response(JSON.stringify({ type: "about:blank", ...body }), {
    status: body.status,
    headers: {
      "content-type": "application/problem+json",
      ...NOT_CACHED,
      ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) }),
      ...(allow === undefined ? {} : { allow: allow.join(", ") }),
      ...(body.status === 401 ? { "www-authenticate": 'Bearer realm="bellhook"' } : {}),
    },
  });
}

/** The response to a request that can't be parsed or isn't supported. */
export function refused({ status, message }: { status: keyof typeof TITLES; message: string }) {
  return problem({ status, title: TITLES[status], detail: message });
}

const TITLES = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  501: "Not Implemented",
} as const;

/** Thrown if a request can't be served. The app answers with its problem. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}
