import type { Config } from "../config/config.ts";
import {
  DataDamaged,
  InvalidCursorError,
  OutboxFailed,
  OutboxUnavailable,
} from "../outbox/errors.ts";
import type { Log } from "../runtime/log.ts";
import { AccessRefused, requestAddress } from "./access.ts";
import { problem, ProblemError } from "./problem.ts";
import { type Posting, unavailable } from "./publish.ts";
import type { Refusals } from "./refusals.ts";

/** Answers errors as problem documents; what nobody foresaw is logged, and told no more than that. */
export function problemsFor(
  { config, log, refusals }: {
    readonly config: () => Config;
    readonly log: Log;
    readonly refusals: Refusals;
  },
) {
  return async (error: Error, request: Pick<Posting, "method" | "url" | "headers">) => {
    const { method, url } = request;
    if (error instanceof AccessRefused) {
      const address = requestAddress(request, config());
      const { reason } = error;
      const waitSeconds = await refusals.note({ address, reason });
      return problem(
        waitSeconds === undefined ? error.problem : tooManyRefused(error, waitSeconds),
      );
    }
    if (error instanceof InvalidCursorError) {
      return problem({
        status: 422,
        title: "Unprocessable Content",
        detail: "the query is not valid",
        errors: [{ path: "cursor", message: error.message }],
      });
    }
    if (error instanceof ProblemError) return problem(error.problem);
    if (error instanceof OutboxFailed || error instanceof OutboxUnavailable) {
      return problem(unavailable(error.message));
    }
    if (error instanceof DataDamaged) {
      return problem({ status: 500, title: "Internal Server Error", detail: error.message });
    }
    log.requestBroke({ method, path: URL.parse(url)?.pathname ?? url }, error);
    return problem({
      status: 500,
      title: "Internal Server Error",
      detail: "a fault inside bellhook; its log says more",
    });
  };
}

function tooManyRefused({ problem }: AccessRefused, retryAfterSeconds: number) {
  return {
    status: 429,
    title: "Too Many Requests",
    detail: `${problem.detail}; too many requests from this address were refused. ` +
      `Wait ${retryAfterSeconds} s; a correct token is accepted at once`,
    retryAfterSeconds,
  } as const;
}
