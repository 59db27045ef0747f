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
  /** Whether one more delivery of the subscription may wait in memory. */
  readonly hasRoom: (subscription: string) => boolean;
  /** Told of how much of the loop's time it took to find out who gets the events of a list. */
  readonly onWorked: (ms: number) => void;
  /** Told of what was stored, to send it at once. */
  readonly onStored: (claims: readonly Claim[], unclaimed: readonly string[]) => void;
}

/** A publisher's request: its events, who it is, and its `Idempotency-Key`. */
export interface Submission {
  readonly events: readonly PostedEvent[];
  /** Whether faults are to say which event of an array they are about. */
  readonly isArray: boolean;
  /** Undefined where the daemon asks for no token, and for operators. */
  readonly publisher?: Publisher;
  readonly idempotencyKey?: string;
}

export type Submitted =
  | { readonly kind: "accepted"; readonly isNew: boolean; readonly receipts: readonly Receipt[] }
  | { readonly kind: "forbidden"; readonly faults: readonly Fault[] }
  | { readonly kind: "undeclared"; readonly faults: readonly Fault[] }
  /** An event does not say whose it is, or lacks what a subscription of its tenant needs. */
  | { readonly kind: "incomplete"; readonly faults: readonly Fault[] }
  /** Its events would come to so many deliveries. */
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

/** What posting an event would come to. */
export type Previewed =
  | { readonly kind: "accepted"; readonly event: Event }
  | Submitted & { readonly kind: "undeclared" | "incomplete" };

/** What became of a test: what was stored, or why the subscription's profile does not take it. */
export type Tested =
  | { readonly kind: "stored"; readonly event: string; readonly delivery: string }
  | { readonly kind: "refused"; readonly why: string };

/**
 * The most deliveries that several events of one request may come to. They are stored in one
 * transaction, during which nothing else is: 5 000 take some 20 ms of it. An event alone can't be
 * split, so it has as many as there are subscriptions that want it.
 */
export const MAX_DELIVERIES = 5_000;

/** An event in, its deliveries out, in one transaction. */
export class Ingest {
  readonly #ports: IngestPorts;
  readonly #rates: PublisherRates;

  constructor(ports: IngestPorts) {
    this.#ports = ports;
    this.#rates = new PublisherRates(ports.clock);
  }

  /** Stores all events of a request or none. Rejects, with nothing stored, if the outbox can't. */
  async submit({ events, isArray, publisher, idempotencyKey }: Submission): Promise<Submitted> {
    const forbidden = publisher ? notAllowed(events, publisher, isArray) : [];
    if (forbidden.length > 0) return { kind: "forbidden", faults: forbidden };
    const undeclared = this.#undeclared(events, isArray);
    if (undeclared.length > 0) return { kind: "undeclared", faults: undeclared };
    const ownerless = this.#ownerless(events, isArray);
    if (ownerless.length > 0) return { kind: "incomplete", faults: ownerless };
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
            // Answered by an array, it is another request than the event alone.
            ...(isArray && events.length === 1 ? ["[]"] : []),
          ]),
        },
      }),
      at,
    }).catch((error) => {
      // It will be posted again, and counts then.
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
    // Which of a list of new and known events were the new ones, a receipt does not say.
    const facts = { stored, repeated, unmatched: Math.min(stored, unmatched) };
    this.#ports.measures.accepted(facts);
  }

  /** One event for one subscription alone, whatever it wants and whether or not it is held. */
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

  /** The event as it would be stored, or why it would not be; nothing is. */
  preview(posted: PostedEvent): Previewed {
    const undeclared = this.#undeclared([posted], false);
    if (undeclared.length > 0) return { kind: "undeclared", faults: undeclared };
    const ownerless = this.#ownerless([posted], false);
    if (ownerless.length > 0) return { kind: "incomplete", faults: ownerless };
    return { kind: "accepted", event: this.#event(posted, this.#ports.steady.now()) };
  }

  /** All events with their deliveries; where those are too many, they are only counted. */
  async #routeAll(posted: readonly PostedEvent[], stamp: Stamp): Promise<Routed> {
    const turn = new Turn(this.#ports.clock);
    // One config for all of them: another may be put in force meanwhile.
    const routed = await turn.run(this.#routing(posted, stamp, this.#ports.registry.now()));
    if (posted.length > 1) this.#ports.onWorked(turn.workedMs);
    return routed;
  }

  *#routing(posted: readonly PostedEvent[], stamp: Stamp, index: Index): Steps<Routed> {
    const events: NewEvent[] = [];
    const faults: Fault[] = [];
    let deliveries = 0;
    for (const [position, one] of posted.entries()) {
      // Nobody corrects more at once.
      if (faults.length >= MAX_FAULTS) break;
      if (posted.length > 1 && deliveries > MAX_DELIVERIES) {
        yield* getting(this.#event(one, stamp.at), index, () => deliveries++);
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
    yield* getting(event, index, (subscription) => {
      deliveries.push(this.#delivery(subscription, "event"));
    });
    if (this.#ports.config().tenancy) yield* missingOf(event, index, onMissing);
    return {
      event,
      ...(publisher ? { publisher: publisher.name } : {}),
      ...(posted.id === undefined ? {} : this.#ownId(posted, at)),
      deliveries,
    };
  }

  /** What makes an id of the publisher's own safe to repeat, and receivers tell it from others'. */
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

  /** Where the config has a tenancy, an event that does not say whose it is. */
  #ownerless(events: readonly PostedEvent[], isArray: boolean): Fault[] {
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

/** When the events of a request came, and from whom. */
interface Stamp {
  readonly at: Instant;
  readonly publisher: Publisher | undefined;
  readonly isArray: boolean;
}

/** By what a request's events find their subscriptions. */
type Index = ReturnType<Registry["now"]>;

/** Tells of each subscription that gets an event. */
function* getting(
  event: Event,
  index: Index,
  tell: (subscription: Subscription) => void,
): Steps<void> {
  const { candidates, gets } = index.ask(event);
  for (let at = 0; at < candidates.length; at++) {
    if (gets(candidates[at]!)) tell(candidates[at]!);
    if (at % CANDIDATES_A_STEP === CANDIDATES_A_STEP - 1) yield;
  }
}

/** Tells of the first thing that an event lacks, where that alone keeps it from a subscription. */
function* missingOf(event: Event, index: Index, tell: (path: string) => void): Steps<void> {
  const { candidates, match } = index.ask(event);
  for (let at = 0; at < candidates.length; at++) {
    if (candidates[at]!.profile.requiredValues.length > 0) {
      const found = match(candidates[at]!);
      if (!found.matches && found.missing !== undefined) return tell(found.missing);
    }
    if (at % CANDIDATES_A_STEP === CANDIDATES_A_STEP - 1) yield;
  }
}

/** Where it stands in a request: a CloudEvent's attributes are the scope. */
function pathIn({ source }: PostedEvent, path: string, index: number | undefined): string {
  const own = source === undefined ? path : path.replace(/^scope\./, "");
  return index === undefined ? own : `[${index}].${own}`;
}

const CANDIDATES_A_STEP = 64;

/** So many faults are told at once. */
const MAX_FAULTS = 100;

interface Routed {
  readonly events: readonly NewEvent[];
  readonly faults: readonly Fault[];
  /** Of all of them. */
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
  // By name: in whatever order a scope is written, it says the same.
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

/** 16 bytes of SHA-256 over parts that cannot run into each other. */
function hash16(parts: readonly (string | Uint8Array)[]): Uint8Array<ArrayBuffer> {
  const hash = createHash("sha256");
  for (const part of parts) {
    hash.update(`${part.length}:`);
    hash.update(part);
  }
  // By its digits: a Buffer of it takes longer than the hash.
  return Uint8Array.fromHex(hash.digest("hex").slice(0, 32));
}
