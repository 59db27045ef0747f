/**
 * Traces: what an event and its attempts went through, for whoever collects such. Kept where Deno's
 * own OpenTelemetry is on (`OTEL_DENO=true`), which also sends them. No bodies, no secrets, and of
 * a URL the host alone.
 */
export interface Tracing {
  /** A request is being answered, within whatever trace its publisher has it in. */
  serving<T>(facts: ServingFacts, answer: () => Promise<T>): Promise<T>;
  /** An event is being stored, within whatever request it came by. */
  accepting(facts: AcceptingFacts): AcceptingSpan;
  /** An attempt begins: the root of a trace of its own, linked to the span of its event. */
  attempting(facts: AttemptingFacts): AttemptingSpan;
}

/** What the span of a request says of it. */
export interface ServingFacts {
  readonly method: string;
  readonly path: string;
  /** The header of that name. */
  readonly traceparent: string | null;
}

/** What the span of an event says of it. */
export interface AcceptingFacts {
  readonly event: string;
  readonly type: string;
  readonly publisher?: string | undefined;
}

/** An event's span, under way. */
export interface AcceptingSpan {
  /** Its name for others, as the header `traceparent` has it (W3C Trace Context). */
  readonly traceparent: string;
  end(facts: { readonly deliveries: number; readonly isNew: boolean }): void;
  /** Nothing was stored. */
  fail(reason: string): void;
}

/** What the span of an attempt says of it. */
export interface AttemptingFacts {
  readonly delivery: string;
  readonly event: string;
  readonly type: string;
  readonly subscription: string;
  readonly attempt: number;
  readonly cause: string;
  readonly url: string;
  /** The `traceparent` of the event's span; undefined for one that was accepted without. */
  readonly link: string | undefined;
}

/** An attempt's span, under way. */
export interface AttemptingSpan {
  /** Its name for others, as the header `traceparent` has it (W3C Trace Context). */
  readonly traceparent: string;
  end(facts: {
    readonly succeeded: boolean;
    readonly status?: number | undefined;
    /** In a word: `5xx`, `timeout`. */
    readonly failure?: string | undefined;
    readonly verdict: string;
  }): void;
  /** Nobody will know what came of it: the daemon stops. */
  breakOff(): void;
}

/** The process's own traces; undefined where they are off, which then cost nothing. */
export function systemTracing(version: string): Tracing | undefined {
  const provider = registered()?.trace;
  if (!provider) return undefined;
  const tracer = provider.getTracer("bellhook", version);
  return {
    async serving({ method, path, traceparent }, answer) {
      const contexts = registered()?.context;
      if (!contexts) return await answer();
      const publisher = contextIn(traceparent ?? "");
      const around = publisher
        ? contexts.active().setValue(SPAN, { spanContext: () => publisher })
        : contexts.active();
      const attributes = { "http.request.method": method, "url.path": path };
      const span = tracer.startSpan(`${method} ${path}`, { kind: SERVER, attributes }, around);
      try {
        return await contexts.with(around.setValue(SPAN, span), answer);
      } finally {
        span.end();
      }
    },
    accepting({ event, type, publisher }) {
      const attributes = {
        "bellhook.event.id": event,
        "bellhook.event.type": type,
        ...(publisher !== undefined && { "bellhook.publisher": publisher }),
      };
      const span = tracer.startSpan("accept event", { kind: INTERNAL, attributes });
      return {
        traceparent: traceparentOf(span.spanContext()),
        end({ deliveries, isNew }) {
          span.setAttributes({ "bellhook.deliveries": deliveries, "bellhook.event.is_new": isNew });
          span.end();
        },
        fail(reason) {
          span.setStatus({ code: ERROR, message: reason });
          span.end();
        },
      };
    },
    attempting({ link, url, ...facts }) {
      const event = link === undefined ? undefined : contextIn(link);
      const span = tracer.startSpan("attempt delivery", {
        kind: CLIENT,
        // The one before it in time may be the request that posted the event, or another's timer.
        root: true,
        links: event ? [{ context: event }] : [],
        attributes: {
          "bellhook.delivery.id": facts.delivery,
          "bellhook.event.id": facts.event,
          "bellhook.event.type": facts.type,
          "bellhook.subscription": facts.subscription,
          "bellhook.attempt": facts.attempt,
          "bellhook.cause": facts.cause,
          ...receiverAttributes(url),
        },
      });
      return {
        traceparent: traceparentOf(span.spanContext()),
        end({ succeeded, status, failure, verdict }) {
          span.setAttributes({
            "bellhook.verdict": verdict,
            ...(status !== undefined && { "http.response.status_code": status }),
            ...(failure !== undefined && { "error.type": failure }),
          });
          if (!succeeded) span.setStatus({ code: ERROR, message: failure ?? "" });
          span.end();
        },
        breakOff() {
          span.setStatus({ code: ERROR, message: "broken off: the daemon stops" });
          span.end();
        },
      };
    },
  };
}

/**
 * What Deno registers where traces are on: at the place, and in the shape, that the OpenTelemetry API
 * for JavaScript has for it, so that no package is needed to find it.
 */
function registered(): { trace?: TracerProvider; context?: ContextManager } | undefined {
  const key = Symbol.for("opentelemetry.js.api.1");
  return (globalThis as { [key]?: { trace?: TracerProvider; context?: ContextManager } })[key];
}

/** Where a context keeps its span. */
const SPAN = Symbol.for("OpenTelemetry Context Key SPAN");

interface ContextManager {
  active(): TraceContext;
  with<T>(context: TraceContext, work: () => T): T;
}

interface TraceContext {
  setValue(key: symbol, value: unknown): TraceContext;
}

interface TracerProvider {
  getTracer(name: string, version: string): Tracer;
}

interface Tracer {
  startSpan(name: string, options: {
    readonly kind: number;
    readonly attributes: Attributes;
    readonly root?: boolean;
    readonly links?: readonly { readonly context: SpanContext }[];
  }, context?: TraceContext): {
    spanContext(): SpanContext;
    setAttributes(attributes: Attributes): void;
    setStatus(status: { readonly code: number; readonly message: string }): void;
    end(): void;
  };
}

type Attributes = Readonly<Record<string, string | number | boolean>>;

interface SpanContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly traceFlags: number;
}

/** Of the OpenTelemetry API: SpanKind.INTERNAL, SERVER and CLIENT, SpanStatusCode.ERROR. */
const INTERNAL = 0;
const SERVER = 1;
const CLIENT = 2;
const ERROR = 2;

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, "0")}`;
}

function contextIn(traceparent: string): SpanContext | undefined {
  const [, traceId, spanId, traceFlags] =
    /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined) return undefined;
  return { traceId, spanId, traceFlags: parseInt(traceFlags!, 16) };
}

/** Its host alone: a path or a query may hold a token. */
function receiverAttributes(url: string): Attributes {
  const parsed = URL.parse(url);
  // A notice may go by mail or to a command.
  if (!parsed || !/^https?:$/.test(parsed.protocol)) return {};
  const { protocol, hostname, port } = parsed;
  return {
    "http.request.method": "POST",
    "url.scheme": protocol.slice(0, -1),
    "server.address": hostname,
    "server.port": Number(port || (protocol === "https:" ? 443 : 80)),
  };
}
