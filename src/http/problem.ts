import type { ContentfulStatusCode } from "hono/utils/http-status";

/** An error as RFC 9457 has it: `application/problem+json`. */
export interface Problem {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  /** What was tried, what is, how to mend it. */
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly message: string }[];
  /** Seconds after which a repeat may work. */
  readonly retryAfterSeconds?: number;
  /** The rule that refuses it, by which it is counted where its status says too little. */
  readonly rule?: string;
  /** The methods that would be taken. */
  readonly allow?: readonly string[];
}

/** What the API's answers go out with: no cache keeps them, and no browser guesses what they are. */
export const NOT_KEPT = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
} as const;

/** The answer that tells it. */
export function problem({ retryAfterSeconds, allow, rule: _, ...body }: Problem): Response {
  return new Response(JSON.stringify({ type: "about:blank", ...body }), {
    status: body.status,
    headers: {
      "content-type": "application/problem+json",
      ...NOT_KEPT,
      ...(retryAfterSeconds === undefined ? {} : { "retry-after": String(retryAfterSeconds) }),
      ...(allow === undefined ? {} : { allow: allow.join(", ") }),
      ...(body.status === 401 ? { "www-authenticate": 'Bearer realm="bellhook"' } : {}),
    },
  });
}

/** The answer to what is no request that can be served. */
export function refused({ status, message }: { status: keyof typeof TITLES; message: string }) {
  return problem({ status, title: TITLES[status], detail: message });
}

const TITLES = {
  400: "Bad Request",
  405: "Method Not Allowed",
  408: "Request Timeout",
  501: "Not Implemented",
} as const;

/** Thrown where a request can't be served; the app answers it as a problem. */
export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail);
  }
}
