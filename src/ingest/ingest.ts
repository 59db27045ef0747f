import { createHash } from "node:crypto";
import type { Config, Publisher } from "../config/config.ts";
import type { DeliveryCause } from "../domain/delivery.ts";
import type { Rate } from "../domain/duration.ts";
import { type Event, unmetScope } from "../domain/event.ts";
import { canonicalScalar } from "../domain/json_text.ts";
import type { Instant } from "../domain/instant.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Claim, Enqueued, NewDelivery, NewEvent, Outbox, Receipt } from "../outbox/outbox.ts";
import { formatOf } from "../profiles/render.ts";
import { webhookId } from "../profiles/sign.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Measures } from "../runtime/measures.ts";
import type { Random } from "../runtime/random.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import { type Steps, Turn } from "../runtime/turn.ts";
import { PublisherRates } from "./publisher_rates.ts";
import type { Fault, PostedEvent } from "./posted_event.ts";
import type { Registry } from "./registry.ts";
import { refusal, testEvent, type TestRequest } from "./test_event.ts";

export interface IngestPorts {
  readonly outbox: Pick<Outbox, "enqueue">;
  readonly registry: Registry;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly random: Random;
  readonly measures: Measures;
  readonly config: () => Config;
  /** Whether the subscription may hold one more delivery in memory. */
  readonly hasRoom: (subscription: string) => boolean;
  /** Receives the event loop time spent on routing an array of events. */
  readonly onWorked: (ms: number) => void;
  /** Receives the stored deliveries, so that they are sent at once. */
  readonly onStored: (claims: readonly Claim[], unclaimed: readonly string[]) => void;
}

/** A publisher's request. */
export interface Submission {
  readonly events: readonly PostedEvent[];
  /** Whether the body was an array: the path of a fault then starts with the event's index. */
  readonly isArray: boolean;
  /** Undefined for operators, and if the daemon requires no token. */
  readonly publisher?: Publisher;
  readonly idempotencyKey?: string;
}

export type Submitted =
  | { readonly kind: "accepted"; readonly isNew: boolean; readonly receipts: readonly Receipt[] }
  | { readonly kind: "forbidden"; readonly faults: readonly Fault[] }
  | { readonly kind: "undeclared"; readonly faults: readonly Fault[] }
  /** An event names no tenant, or lacks a value that a subscription of its tenant needs. */
  | { readonly kind: "incomplete"; readonly faults: readonly Fault[] }
  /** The events would create this many deliveries, more than `MAX_DELIVERIES`. */
  | { readonly kind: "tooManyDeliveries"; readonly deliveries: number }
  | { readonly kind: "idConflict"; readonly index: number; readonly id: string }
  | { readonly kind: "keyConflict" }
  /** The publisher has posted as many events as its rate allows. */
  | { readonly kind: "tooFast"; readonly rate: Rate; readonly waitMs: number }
  /** Too many of the publisher's deliveries would be pending. */
  | {
    readonly kind: "tooManyPending";
    readonly pending: number;
    readonly more: number;
    readonly most: number;
  };

/** What would happen to an event if it were posted. */
export type Previewed =
  | { readonly kind: "accepted"; readonly event: Event }
  | Submitted & { readonly kind: "undeclared" | "incomplete" };

/** The result of a test event: the ids of what was stored, or why the profile refused it. */
export type Tested =
  | { readonly kind: "stored"; readonly event: string; readonly delivery: string }
  | { readonly kind: "refused"; readonly why: string };

/**
 * The most deliveries that one request with several events may create. They are stored in one
 * transaction, which blocks all other writes: 5 000 take about 20 ms. A single event can't be
 * split, so this limit does not apply to it.
 */
export const MAX_DELIVERIES = 5_000;

/** Stores events together with their deliveries, in one transaction. */
export class Ingest {
  readonly #ports: IngestPorts;
  readonly #rates: PublisherRates;

  constructor(ports: IngestPorts) {
    this.#ports = ports;
    this.#rates = new PublisherRates(ports.clock);
  }

  /** Stores all events of a request or none. Rejects if the outbox fails; then nothing is stored. */
  async submit({ events, isArray, publisher, idempotencyKey }: Submission): Promise<Submitted> {
    const forbidden = publisher ? notAllowed(events, publisher, isArray) : [];
    if (forbidden.length > 0) return { kind: "forbidden", faults: forbidden };
    const undeclared = this.#undeclared(events, isArray);
    if (undeclared.length > 0) return { kind: "undeclared", faults: undeclared };
    const tenantless = this.#tenantless(events, isArray);
    if (tenantless.length > 0) return { kind: "incomplete", faults: tenantless };
    const pace = publisher && this.#rates.take(publisher, events.length);
    if (pace?.kind === "tooFast") return pace;
    const at = this.#ports.steady.now();
    const routed = await this.#routeAll(events, { at, publisher, isArray });
    const { deliveries, faults } = routed;
    if (faults.length > 0) {
      pace?.giveBack();
      return { kind: "incomplete", faults };
    }
    if (events.length > 1 && deliveries > MAX_DELIVERIES) {
      pace?.giveBack();
      return { kind: "tooManyDeliveries", deliveries };
    }
    const most = publisher?.maxPending;
    const enqueued = await this.#ports.outbox.enqueue({
      events: routed.events,
      ...(publisher && most !== undefined && { quota: { publisher: publisher.name, most } }),
      ...(idempotencyKey === undefined ? {} : {
        idempotency: {
          key: hash16([publisher?.name ?? "", idempotencyKey]),
          content: hash16([
            ...events.map(contentHash),
            // `[event]` and `event` differ: the first is answered with an array.
            ...(isArray && events.length === 1 ? ["[]"] : []),
          ]),
        },
      }),
      at,
    }).catch((error) => {
      // The publisher will post it again; it counts against the rate then.
      pace?.giveBack();
      throw error;
    });
    if (enqueued.kind === "tooManyPending") {
      pace?.giveBack();
      return { ...enqueued, most: most! };
    }
    if (enqueued.kind !== "accepted") return enqueued;
    this.#count(enqueued);
    this.#ports.onStored(enqueued.claims, enqueued.unclaimed);
    return { kind: "accepted", isNew: enqueued.stored > 0, receipts: enqueued.receipts };
  }

  #count({ stored, receipts }: Enqueued & { readonly kind: "accepted" }): void {
    const repeated = receipts.length - stored;
    const unmatched = receipts.filter(({ deliveries }) => deliveries.length === 0).length;
    // A receipt doesn't say whether its event was new.
    const facts = { stored, repeated, unmatched: Math.min(stored, unmatched) };
    this.#ports.measures.accepted(facts);
  }

  /** Stores a test event for one subscription, even if its patterns don't match or it is held. */
  async test(
    subscription: Subscription,
    request: TestRequest,
  ): Promise<Tested> {
    const at = this.#ports.steady.now();
    const { eventTypes } = this.#ports.config();
    const posted = testEvent(subscription, request, eventTypes);
    const why = refusal(subscription, posted);
    if (why !== undefined) return { kind: "refused", why };
    const event = this.#event(posted, at);
    const delivery = this.#delivery(subscription, "test");
    const enqueued = await this.#ports.outbox.enqueue({
      events: [{ event, deliveries: [delivery] }],
      at,
    });
    if (enqueued.kind !== "accepted") throw new Error(`a new event id was taken: ${event.id}`);
    this.#ports.onStored(enqueued.claims, enqueued.unclaimed);
    const [receipt] = enqueued.receipts;
    return { kind: "stored", event: event.id, delivery: receipt!.deliveries[0]!.id };
  }

  /** Returns the event as it would be stored, or why it would be refused. Stores nothing. */
  preview(posted: PostedEvent): Previewed {
    const undeclared = this.#undeclared([posted], false);
    if (undeclared.length > 0) return { kind: "undeclared", faults: undeclared };
    const tenantless = this.#tenantless([posted], false);
    if (tenantless.length > 0) return { kind: "incomplete", faults: tenantless };
    return { kind: "accepted", event: this.#event(posted, this.#ports.steady.now()) };
  }

  /** Routes all events. If they have too many deliveries, these are only counted. */
  async #routeAll(posted: readonly PostedEvent[], stamp: Stamp): Promise<Routed> {
    const turn = new Turn(this.#ports.clock);
    // One index for all events: the config may be reloaded meanwhile.
    const routed = await turn.run(this.#routing(posted, stamp, this.#ports.registry.now()));
    if (posted.length > 1) this.#ports.onWorked(turn.workedMs);
    return routed;
  }

  *#routing(posted: readonly PostedEvent[], stamp: Stamp, index: Index): Steps<Routed> {
    const events: NewEvent[] = [];
    const faults: Fault[] = [];
    let deliveries = 0;
    for (const [position, one] of posted.entries()) {
      if (faults.length >= MAX_FAULTS) break;
      if (posted.length > 1 && deliveries > MAX_DELIVERIES) {
        yield* eachMatch(this.#event(one, stamp.at), index, () => deliveries++);
      } else {
        const event = yield* this.#route(one, stamp, index, (path) => {
          const message =
            "is missing, and the body of a subscription that wants the event needs it";
          faults.push({ path: pathIn(one, path, stamp.isArray ? position : undefined), message });
        });
        deliveries += event.deliveries.length;
        events.push(event);
      }
      if (posted.length > 1) yield;
    }
    return { events, deliveries, faults };
  }

  *#route(
    posted: PostedEvent,
    { at, publisher }: Stamp,
    index: Index,
    onMissing: (path: string) => void,
  ): Steps<NewEvent> {
    const event = this.#event(posted, at);
    const deliveries: NewDelivery[] = [];
    yield* eachMatch(event, index, (subscription) => {
      deliveries.push(this.#delivery(subscription, "event"));
    });
    if (this.#ports.config().tenancy) yield* findMissing(event, index, onMissing);
    return {
      event,
      ...(publisher ? { publisher: publisher.name } : {}),
      ...(posted.id === undefined ? {} : this.#ownId(posted, at)),
      deliveries,
    };
  }

  /** For an id chosen by the publisher: what finds repeats and tells apart equal ids in headers. */
  #ownId(posted: PostedEvent, at: Instant) {
    const headerId = webhookId(posted.id!);
    return {
      contentHash: contentHash(posted),
      spareId: () => `evt_${this.#ports.random.ulid(at)}`,
      ...(headerId === posted.id ? {} : { headerId }),
      ...(posted.source === undefined ? {} : { source: posted.source }),
    };
  }

  #event(posted: PostedEvent, at: Instant): Event {
    return {
      id: posted.id ?? `evt_${this.#ports.random.ulid(at)}`,
      type: posted.type,
      occurredAt: posted.occurredAt ?? at,
      scope: posted.scope,
      data: posted.data,
      ...(posted.metadata === undefined ? {} : { metadata: posted.metadata }),
    };
  }

  #delivery(subscription: Subscription, cause: DeliveryCause): NewDelivery {
    return {
      subscription: subscription.id,
      format: formatOf(subscription),
      cause,
      claim: cause === "test" || this.#ports.hasRoom(subscription.id),
    };
  }

  /** One fault for each event without a tenant, if the config has a tenancy. */
  #tenantless(events: readonly PostedEvent[], isArray: boolean): Fault[] {
    const { tenancy } = this.#ports.config();
    if (!tenancy) return [];
    const { key } = tenancy;
    return events.flatMap((event, index) =>
      (event.scope.get(key) ?? "null") === "null"
        ? [{
          path: pathIn(event, `scope.${key}`, isArray ? index : undefined),
          message: 'is missing, and the config\'s "tenancy" asks for it',
        }]
        : []
    );
  }

  #undeclared(events: readonly PostedEvent[], isArray: boolean): Fault[] {
    const declared = this.#ports.config().eventTypes;
    if (!declared) return [];
    return events.flatMap(({ type }, index) =>
      declared.has(type) ? [] : [{
        path: isArray ? `[${index}].type` : "type",
        message: `"${type}" is not among the config's eventTypes`,
      }]
    );
  }
}

/** What the events of one request share. */
interface Stamp {
  readonly at: Instant;
  readonly publisher: Publisher | undefined;
  readonly isArray: boolean;
}

type Index = ReturnType<Registry["now"]>;

/** Calls `onMatch` for each subscription that gets the event. */
function* eachMatch(
  event: Event,
  index: Index,
  onMatch: (subscription: Subscription) => void,
): Steps<void> {
  const { candidates, gets } = index.ask(event);
  for (let at = 0; at < candidates.length; at++) {
    if (gets(candidates[at]!)) onMatch(candidates[at]!);
    if (at % CANDIDATES_PER_STEP === CANDIDATES_PER_STEP - 1) yield;
  }
}

/** Calls `onMissing` with the first value whose absence alone keeps a subscription from matching. */
function* findMissing(
  event: Event,
  index: Index,
  onMissing: (path: string) => void,
): Steps<void> {
  const { candidates, match } = index.ask(event);
  for (let at = 0; at < candidates.length; at++) {
    if (candidates[at]!.profile.requiredValues.length > 0) {
      const found = match(candidates[at]!);
      if (!found.matches && found.missing !== undefined) return onMissing(found.missing);
    }
    if (at % CANDIDATES_PER_STEP === CANDIDATES_PER_STEP - 1) yield;
  }
}

/** The path of a value in the request. A CloudEvent's attributes are its scope. */
function pathIn({ source }: PostedEvent, path: string, index: number | undefined): string {
  const own = source === undefined ? path : path.replace(/^scope\./, "");
  return index === undefined ? own : `[${index}].${own}`;
}

const CANDIDATES_PER_STEP = 64;

/** The most faults that one answer lists. */
const MAX_FAULTS = 100;

interface Routed {
  readonly events: readonly NewEvent[];
  readonly faults: readonly Fault[];
  /** Of all events together. */
  readonly deliveries: number;
}

function notAllowed(
  events: readonly PostedEvent[],
  { name, types, scope }: Publisher,
  isArray: boolean,
): Fault[] {
  return events.flatMap((event, index) => {
    const path = isArray ? `[${index}].` : "";
    const faults: Fault[] = [];
    if (types && !types.some((pattern) => pattern.matches(event.type))) {
      const message = `publisher "${name}" may not post "${event.type}"`;
      faults.push({ path: `${path}type`, message });
    }
    const unmet = scope && unmetScope(scope, (name) => {
      const value = event.scope.get(name);
      return value === undefined ? undefined : canonicalScalar(value);
    });
    if (unmet !== undefined) {
      faults.push({
        path: `${path}scope.${unmet}`,
        message: `not for publisher "${name}" to post`,
      });
    }
    return faults;
  });
}

function contentHash(event: PostedEvent): Uint8Array<ArrayBuffer> {
  // Sorted by name: the order of a scope's members has no meaning.
  const scope = [...event.scope].sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return hash16([
    event.id ?? "",
    event.type,
    String(event.occurredAt ?? ""),
    scope.join(","),
    event.data,
    event.metadata ?? "",
  ]);
}

/** The first 16 bytes of a SHA-256 over the parts, each prefixed with its length. */
function hash16(parts: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(`${part.length}:`);
    hash.update(part);
  }
  // Via hex: making a Buffer takes longer than the hash.
  return Uint8Array.fromHex(hash.digest("hex").slice(0, 32));
}
