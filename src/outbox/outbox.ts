/**
 * What must survive a crash, as a port: events, their deliveries, the attempts of each, and how
 * each subscription is doing. Everything here resolves only once it is durable; a rejection means
 * that nothing was stored.
 */
import type { Attempt } from "../domain/attempt.ts";
import type { Delivery, DeliveryCause, DeliveryState, FormatText } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import type { Health } from "../domain/health.ts";
import type { Instant } from "../domain/instant.ts";
import type { Verdict } from "../domain/verdict.ts";

export type { FormatText };

/** An event on its way in, with the subscriptions that get it. */
export interface NewEvent {
  readonly event: Event;
  /** Who posted it; undefined where the daemon asks for no token. */
  readonly publisher?: string;
  /** Set where the publisher chose the id: 16 bytes of hash over what it posted. */
  readonly contentHash?: Uint8Array<ArrayBuffer>;
  readonly deliveries: readonly NewDelivery[];
}

export interface NewDelivery {
  readonly subscription: string;
  readonly format: FormatText;
  readonly cause: DeliveryCause;
  /** Whether to hand it over claimed, for sending at once. */
  readonly claim: boolean;
}

/** One request of a publisher: all its events or none. */
export interface Enqueue {
  readonly events: readonly NewEvent[];
  /** The request's `Idempotency-Key` and its content, as 16-byte hashes. */
  readonly idempotency?: {
    readonly key: Uint8Array<ArrayBuffer>;
    readonly content: Uint8Array<ArrayBuffer>;
  };
  readonly at: Instant;
}

/** What a publisher is told of one event. */
export interface Receipt {
  readonly id: string;
  readonly deliveries: readonly { readonly id: string; readonly subscription: string }[];
}

export type Enqueued =
  /** `stored` is how many of the events were new; the rest, and all of a repeat, were known. */
  | {
    readonly kind: "accepted";
    readonly stored: number;
    readonly receipts: readonly Receipt[];
    readonly claims: readonly Claim[];
    /** The subscriptions whose deliveries were stored but not claimed. */
    readonly unclaimed: readonly string[];
  }
  /** An event id that is known with other content; `index` says which event of the request. */
  | { readonly kind: "idConflict"; readonly index: number; readonly id: string }
  /** An Idempotency-Key that was used for other content. */
  | { readonly kind: "keyConflict" };

/** The right to attempt a delivery and record what came of it; held by one at a time. */
export interface Claim {
  readonly delivery: ClaimedDelivery;
  readonly event: Event;
  readonly format: FormatText;
  /** When the first attempt started; undefined before it. */
  readonly firstAttemptAt?: Instant;
  /** Tells this claim from a later one of the same delivery. */
  readonly token: number;
}

export type ClaimedDelivery = Pick<
  Delivery,
  "id" | "subscription" | "cause" | "attemptCount" | "createdAt" | "redeliveryOf"
>;

/** An attempt and its consequences, stored together. */
export interface Recording {
  readonly claim: Claim;
  readonly attempt: Attempt;
  readonly verdict: Verdict;
  /** When the verdict fell. */
  readonly at: Instant;
  /** The subscription's health from now on. */
  readonly health?: Health;
  /** Notices that this attempt gives rise to. */
  readonly notices?: readonly NewEvent[];
}

/** How many finished deliveries, and events left without any, one bite took away. */
export interface Pruned {
  readonly deliveries: number;
  readonly events: number;
}

/** What a claim may take: due deliveries of one subscription, oldest due first. */
export interface ClaimRequest {
  readonly subscription: string;
  readonly now: Instant;
  readonly limit: number;
  /** Only deliveries of test events, which go out while their subscription is held. */
  readonly testsOnly?: boolean;
}

export interface Claimed {
  readonly claims: Claim[];
  /** When the earliest that such a request could take, now or later, and nobody has claimed is due. */
  readonly nextDueAt?: Instant;
}

/** The writing side: small, asynchronous, durable. */
export interface Outbox {
  enqueue(request: Enqueue): Promise<Enqueued>;
  /** Claims what is pending, due and unclaimed. */
  claim(request: ClaimRequest): Promise<Claimed>;
  /** False, and nothing changed, where the claim is no longer held or the delivery is final. */
  record(recording: Recording): Promise<boolean>;
  /** Gives claims back unused: their deliveries are due as before. */
  release(claims: readonly Claim[]): Promise<void>;
  /** Makes a pending delivery due at once; false where it is not pending. */
  hasten(deliveryId: string, now: Instant): Promise<boolean>;
  /** Sends a finished delivery again as a new one; undefined where it is unknown or pending. */
  redeliver(deliveryId: string, now: Instant): Promise<Delivery | undefined>;
  /** Ends pending deliveries, claimed ones too; answers how many it ended. */
  cancel(deliveryIds: readonly string[], reason: string, now: Instant): Promise<number>;
  setHealth(subscription: string, health: Health): Promise<void>;
  /** Moves every due time after `from` by so much: the wall clock was stepped. */
  shiftDue(from: Instant, byMs: number): Promise<void>;
  /** For each subscription with unclaimed pending deliveries, when the first of them is due. */
  nextDue(): Promise<ReadonlyMap<string, Instant>>;
  /** One bite of at most `limit` rows of what finished before these instants. */
  prune(
    before: { readonly delivered: Instant; readonly exhausted: Instant; readonly limit: number },
  ): Promise<Pruned>;
  /** Waits for what is under way, then lets go of the storage. */
  close(): Promise<void>;
}

/** The reading side. It sees what is durable and never waits for a writer. */
export interface OutboxReader {
  event(id: string): Promise<StoredEvent | undefined>;
  delivery(id: string): Promise<StoredDelivery | undefined>;
  deliveriesOf(eventId: string): Promise<Delivery[]>;
  attempts(deliveryId: string): Promise<Attempt[]>;
  deliveries(filter: DeliveryFilter): Promise<Page<Delivery>>;
  events(filter: EventFilter): Promise<Page<StoredEvent>>;
  /** Health of every subscription that has any on record. */
  health(): Promise<ReadonlyMap<string, Health>>;
  /** Pending deliveries by subscription. */
  pending(): Promise<ReadonlyMap<string, number>>;
  audit(): Promise<Audit>;
}

export interface StoredEvent extends Event {
  readonly acceptedAt: Instant;
  readonly publisher?: string;
}

export interface StoredDelivery extends Delivery {
  readonly event: StoredEvent;
  readonly format: FormatText;
}

/** A page of a list, newest first; `next` is the cursor of the following one. */
export interface Page<Item> {
  readonly items: Item[];
  readonly next?: string;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}

export interface EventFilter extends PageRequest {
  readonly type?: string;
  readonly since?: Instant;
  readonly until?: Instant;
}

export interface DeliveryFilter extends PageRequest {
  readonly state?: DeliveryState;
  readonly subscription?: string;
  readonly type?: string;
  readonly eventId?: string;
  /** The status of the last answer. */
  readonly status?: number;
  readonly since?: Instant;
  readonly until?: Instant;
  /** Text in the event's data. */
  readonly q?: string;
}

/** What the database says of the promises: counts, and every row that breaks one. */
export interface Audit {
  readonly events: number;
  readonly deliveries: { readonly [state in DeliveryState]: number };
  readonly attempts: number;
  /** Sentences, each naming what breaks which promise; empty when all is well. */
  readonly faults: readonly string[];
}

/** A list was asked to go on from a cursor that no list hands out. */
export class InvalidCursorError extends Error {}

/** Nothing can be stored now (disk full, locked, read-only); a later try may work. */
export class OutboxUnavailable extends Error {}

/** The storage can be trusted no longer (a failed fsync, a corrupt file): the daemon must end. */
export class OutboxFailed extends Error {}
