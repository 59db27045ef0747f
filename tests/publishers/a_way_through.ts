import { startRawServer } from "../support/raw_server.ts";

/** What the way to the daemon does with a request. */
export type Step =
  | "pass"
  /** 503 with `Retry-After: 1`, as from a full disk. */
  | "full"
  /** 429 with `Retry-After: 1`. */
  | "slow down"
  /** 401, as while a token is changed. */
  | "wrong token"
  /** The daemon gets it, and the connection ends before its answer is passed on. */
  | "cut off after"
  /** The daemon gets it, and its answer is never passed on. */
  | "swallow";

/** A way to the daemon on which things go wrong. */
export interface Way extends AsyncDisposable {
  readonly url: string;
  /** What it does with the next requests; it passes on all that come after. */
  next(...steps: Step[]): void;
  /** The daemon has what was swallowed. */
  readonly swallowed: Promise<void>;
  readonly arrivals: readonly { readonly did: Step; readonly atMs: number; readonly id: string }[];
}

/** Starts a way to the daemon at a URL. */
export function aWayThrough(daemon: string): Way {
  const steps: Step[] = [];
  const arrivals: { did: Step; atMs: number; id: string }[] = [];
  const swallowed = Promise.withResolvers<void>();
  const server = startRawServer(async (request) => {
    const did = steps.shift() ?? "pass";
    arrivals.push({ did, atMs: performance.now(), id: JSON.parse(request.text()).id });
    if (did === "full") return { status: 503, headers: RETRY_AFTER, body: "{}" };
    if (did === "slow down") return { status: 429, headers: RETRY_AFTER, body: "{}" };
    if (did === "wrong token") return { status: 401, body: "{}" };
    const names = ["content-type", "authorization"];
    const headers = names.map((name): [string, string] => [name, request.header(name) ?? ""]);
    const { method, body } = request;
    const answer = await fetch(`${daemon}${request.target}`, { method, headers, body });
    const text = await answer.text();
    if (did === "cut off after") return { drop: true };
    if (did === "swallow") {
      swallowed.resolve();
      return { hang: true };
    }
    return { status: answer.status, body: text };
  });
  return {
    url: server.url.replace(/\/$/, ""),
    next: (...more) => void steps.push(...more),
    swallowed: swallowed.promise,
    arrivals,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

const RETRY_AFTER = [["retry-after", "1"]] as const;
