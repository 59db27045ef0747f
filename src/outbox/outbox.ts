/**
 * What must survive a crash, as a port: events, their deliveries, the attempts of each, how each
 * subscription is doing, and what operators did. Everything here resolves only once it is durable; a
 * rejection means that nothing was stored, but for what says that it takes several commits.
 */
import type { Attempt } from "../domain/attempt.ts";
import type { Delivery, DeliveryCause, FormatText, StateFilter } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import type { Health } from "../domain/health.ts";
import type { Instant } from "../domain/instant.ts";
import type { Verdict } from "../domain/verdict.ts";
import type { TimeMark } from "../runtime/boot_time.ts";
import type { OutboxFailed } from "./errors.ts";

/** An event on its way in, with the subscriptions that get it. */
export interface NewEvent {
  readonly event: Event;
  /** Who posted it; undefined where the daemon asks for no token. */
  readonly publisher?: string;
  /** Set where the publisher chose the id: 16 bytes of hash over what it posted. */
  readonly contentHash?: Uint8Array<ArrayBuffer>;
  /** A CloudEvent's `source`: with it, and within its publisher, its id is unique. */
  readonly source?: string;
  /**
   * Makes what receivers get as the id where another event has it already, so that they don't take the
   * one for the other. Nobody can guess it: who could would post an event under it first.
   */
  readonly spareId?: () => string;
  /** How headers spell the id, where that is otherwise: it must be no other event's id either. */
  readonly headerId?: string;
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
  /** How many deliveries of the publisher's posts may be pending, those of this request included. */
  readonly quota?: { readonly publisher: string; readonly most: number };
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
  /** An id that the publisher used for other content; `index` says which event of the request. */
  | { readonly kind: "idConflict"; readonly index: number; readonly id: string }
  /** An Idempotency-Key that was used for other content. */
  | { readonly kind: "keyConflict" }
  /** So many are pending that those of this request would exceed the quota. */
  | { readonly kind: "tooManyPending"; readonly pending: number; readonly more: number };

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
  /** Notices that the subscription's health gives rise to. */
  readonly healthNotices?: readonly NewEvent[];
  /** What this attempt changed that an operator may ask about later. */
  readonly history?: readonly HistoryEntry[];
}

/** Something that happened to a subscription, a delivery or the whole daemon, and why. */
export interface HistoryEntry {
  readonly at: Instant;
  readonly kind:
    | "failing"
    | "recovered"
    | "paused"
    | "resumed"
    | "retried"
    | "cancelled"
    | "replayed"
    | "tested"
    | "reloaded"
    | "rejected"
    | "signed in"
    | "signed out";
  readonly subscription?: string;
  /** The delivery's id. */
  readonly delivery?: string;
  /** Why, in words for an operator. */
  readonly cause: string;
  /** The operator who did it; undefined where nobody did. */
  readonly by?: string;
  /** Where the operator's request came from; undefined where no request brought it. */
  readonly address?: string;
}

/** An operator ends the hold on a subscription. What is kept of it is kept in the same commit. */
export interface Resuming {
  readonly subscription: string;
  readonly at: Instant;
  readonly entry: HistoryEntry;
}

/** An operator holds a subscription. */
export interface Pausing extends Resuming {
  readonly reason: string;
  readonly notices: readonly NewEvent[];
}

/**
 * Which finished deliveries to send again. Left out are those of tests and notices, and those that
 * were sent again already: of an event's redeliveries to a subscription only the last counts.
 */
export interface ReplayFilter {
  readonly subscription?: string;
  readonly type?: string;
  /** Where it is `pending`, what waits is due at once, and no new deliveries are made. */
  readonly state?: StateFilter;
  /** Undefined: they are sent. What is pending can be cancelled instead. */
  readonly action?: "cancel";
  /** Created at or after. */
  readonly since: Instant;
  /** Created before. */
  readonly until: Instant;
}

/** Deliveries being sent again, or cancelled, step by step. */
export interface Replay {
  /** `rpl_` and 26 characters that sort by age. */
  readonly id: string;
  readonly filter: ReplayFilter;
  /** How many there were to send when it began. */
  readonly total: number;
  /**
   * How many it has sent, retried or cancelled; fewer than all in the end where it was stopped, others
   * were faster, or subscriptions hold theirs.
   */
  readonly done: number;
  readonly by: string;
  readonly createdAt: Instant;
  readonly finishedAt?: Instant;
  /** Stopped is one that an operator ended before it was through. */
  readonly state: "running" | "finished" | "stopped";
}

/** The line of history that is kept of a replay, in the same commit. */
export type ReplayEntry = (replay: Replay) => HistoryEntry;

/** How far the next step of a replay goes. */
export interface ReplayLimits {
  readonly limit: number;
  readonly at: Instant;
  /** Whether a subscription holds its deliveries, which are left as they are then; none where undefined. */
  readonly isHeld?: (subscription: string) => boolean;
}

/** What one step of a replay did. */
export interface ReplayStep {
  /** Those that have deliveries due at once. */
  readonly subscriptions: string[];
  /** The deliveries that it cancelled. */
  readonly cancelled: string[];
  /** Whether nothing is left to do, now or ever. */
  readonly finished: boolean;
}

/** Each kind of row that is pruned when its time is over; `events` are those without deliveries. */
export const PRUNED_KINDS = [
  "delivered",
  "exhausted",
  "cancelled",
  "events",
  "keys",
  "history",
  "replays",
  "tallies",
] as const;

export type PrunedKind = typeof PRUNED_KINDS[number];

/** What finished before these instants is kept no longer. */
export interface KeptTimes {
  readonly delivered: Instant;
  /** Also of cancelled deliveries, history, replays and tallies. */
  readonly exhausted: Instant;
}

/** One batch of pruning. */
export interface PruneRequest extends KeptTimes {
  /** At most so many rows of each kind, so that none waits for another's backlog. */
  readonly limit: number;
  /** It ends with the row during which it has held the loop for so long, by this clock. */
  readonly hold?: { readonly maxMs: number; monotonicMs(): number };
}

/** How many finished deliveries, and events left without any, one batch took away. */
export interface Pruned {
  readonly deliveries: number;
  readonly events: number;
  /** Idempotency keys, entries of the history, replays and tallies. */
  readonly others: number;
  /** Whether it ended for its limit or its time, and not because nothing was left. */
  readonly mayHaveMore: boolean;
  /** For how long it held the loop; 0 where no clock was given. */
  readonly heldMs: number;
}

/** Exhausted deliveries since the last digest of them. Those of notices are not counted. */
export interface ExhaustedDigest {
  /** When the first of them ended. */
  readonly since: Instant;
  readonly deliveries: number;
  /** How many subscriptions they belong to. */
  readonly subscriptions: number;
  /** The subscriptions with the most, the first ten; each with the first delivery of its own. */
  readonly most: readonly {
    readonly subscription: string;
    readonly deliveries: number;
    readonly example: { readonly delivery: string; readonly reason: string };
  }[];
}

/** An attempt of a subscription that may have a number of them within `perMs`. */
export interface PacedStart {
  readonly subscription: string;
  readonly at: Instant;
  readonly perMs: number;
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
  /** How many more were due, and ended as exhausted because their data can't be read any more. */
  readonly damaged?: number;
}

/**
 * Carries a commit out, and measures it: what holds the loop is over when `commit` returns, and the
 * disk when it resolves. `ofEvents` is the share of its rows that publishers' events have.
 */
export type TimedCommit = <Value>(
  commit: () => Promise<Value>,
  about?: { readonly ofEvents: number },
) => Promise<Value>;

/** The writing side: small, asynchronous, durable. */
export interface Outbox {
  /** Resolves when the storage can no longer be trusted: the process must end. */
  readonly failed: Promise<OutboxFailed>;
  /** How many commits there were so far. */
  readonly commits: number;
  /** From now on, each commit is carried out within this. */
  timeCommits(timed: TimedCommit): void;
  enqueue(request: Enqueue): Promise<Enqueued>;
  /** Claims what is pending, due and unclaimed. */
  claim(request: ClaimRequest): Promise<Claimed>;
  /**
   * False, and nothing changed, where the claim is no longer held or the delivery is final. Where it
   * was cancelled with this attempt under way, the attempt is kept even so, with what it says of its
   * subscription: the health, its notices and the history.
   */
  record(recording: Recording): Promise<boolean>;
  /** Gives claims back unused: their deliveries are due as before. */
  release(claims: readonly Claim[]): Promise<void>;
  /** Makes a pending delivery due at once; false where it is not pending. */
  hasten(deliveryId: string, now: Instant): Promise<boolean>;
  /** Sends a finished delivery again as a new one; undefined where it is unknown or pending. */
  redeliver(deliveryId: string, now: Instant): Promise<Delivery | undefined>;
  /**
   * Ends pending deliveries, claimed ones too; answers how many it ended. Many ids take several
   * commits: where it rejects, some may have ended, and asking again ends the rest.
   */
  cancel(deliveryIds: readonly string[], reason: string, now: Instant): Promise<number>;
  /** Holds a subscription's deliveries; false, and nothing is stored, where it is held already. */
  pause(pausing: Pausing): Promise<boolean>;
  /** Ends that; false, and nothing is stored, where it was not paused. */
  resume(resuming: Resuming): Promise<boolean>;
  /** Notes that subscriptions are as they are from now on: met first, enabled or disabled. */
  noteSwitched(subscriptions: readonly string[], at: Instant): Promise<void>;
  /** Since when exhausted deliveries have been waiting to be told; undefined where none are. */
  exhaustedSince(): Promise<Instant | undefined>;
  /**
   * Stores a notice of the exhausted deliveries that nobody was told of, and counts them no longer, in
   * one step: whatever dies, each is told once. Where `compose` makes none, they are only forgotten.
   * Answers the subscriptions that have a delivery of it.
   */
  tellExhausted(
    at: Instant,
    compose: (digest: ExhaustedDigest) => NewEvent | undefined,
  ): Promise<readonly string[]>;
  /** Keeps entries of history, and stores notices of them. */
  remember(entries: readonly HistoryEntry[], notices?: readonly NewEvent[]): Promise<void>;
  /** Begins a replay of what has finished by now; stepReplay() carries it out. */
  startReplay(
    request: {
      readonly filter: ReplayFilter;
      readonly by: string;
      readonly at: Instant;
      readonly entry?: ReplayEntry;
    },
  ): Promise<Replay>;
  /** Ends a replay that is under way; false where there is no such one. */
  stopReplay(
    id: string,
    stop: { readonly at: Instant; readonly entry?: ReplayEntry },
  ): Promise<boolean>;
  /**
   * Sends the next deliveries of a replay again, at most `limit`, and stores how far it got: nothing is
   * sent twice or missed, whatever dies. A step is short, and may find nothing, where few fit. What is
   * pending for subscriptions that hold it is not made due.
   */
  stepReplay(id: string, step: ReplayLimits): Promise<ReplayStep>;
  /**
   * Moves due times, and the starts that rate limits count, by so much: the wall clock was stepped. What
   * is due at `from` stays due: forwards it is left alone, backwards it moves along. The mark is kept
   * with it.
   */
  shiftDue(from: Instant, byMs: number, mark?: TimeMark): Promise<void>;
  /** Keeps where the schedule's time stands, in place of what was kept before. */
  keepTime(mark: TimeMark): Promise<void>;
  /** What keepTime() or shiftDue() kept last. */
  timeMark(): Promise<TimeMark | undefined>;
  /** Keeps that an attempt is about to start, for as long as its rate limit counts it. */
  noteStart(start: PacedStart): Promise<void>;
  /** The starts that were kept, by subscription, the earliest first; some that count no longer as well. */
  starts(): Promise<ReadonlyMap<string, readonly Instant[]>>;
  /** For each subscription with unclaimed pending deliveries, when the first of them is due. */
  nextDue(): Promise<ReadonlyMap<string, Instant>>;
  /** One batch of what is kept no longer. */
  prune(request: PruneRequest): Promise<Pruned>;
  /**
   * Why nothing can be stored now; undefined where it can. After a commit that failed it tries
   * a write, and answers the reason for as long as that fails.
   */
  unavailableBecause(): Promise<string | undefined>;
  /** Waits for what is under way, then lets go of the storage. */
  close(): Promise<void>;
}
