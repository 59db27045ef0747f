import type { Attempt } from "../domain/attempt.ts";
import type { Delivery, DeliveryState, FormatText, StateFilter } from "../domain/delivery.ts";
import type { Event } from "../domain/event.ts";
import type { Health } from "../domain/health.ts";
import type { Instant } from "../domain/instant.ts";
import type {
  HistoryEntry,
  KeptTimes,
  Outbox,
  PrunedKind,
  Replay,
  ReplayFilter,
} from "./outbox.ts";

/**
 * The reading side. It sees what is durable and never waits for a writer. What may look at very many
 * rows does so in slices, so that nobody else waits for it.
 */
export interface OutboxReader {
  /**
   * The event that receivers know by this id; where there is none any more, the first that was stored
   * of those that have it. With a publisher (or "" for operators and for posts without a token), of that
   * publisher's alone.
   */
  event(id: string, publisher?: string): Promise<FoundEvent | undefined>;
  delivery(id: string): Promise<StoredDelivery | undefined>;
  /** The deliveries of that same event. */
  deliveriesOf(eventId: string, publisher?: string): Promise<Delivery[]>;
  attempts(deliveryId: string): Promise<Attempt[]>;
  deliveries(filter: DeliveryFilter): Promise<Page<Delivery>>;
  events(filter: EventFilter): Promise<Page<StoredEvent>>;
  /** Health of every subscription that has any on record. */
  health(): Promise<ReadonlyMap<string, Health>>;
  /** Pending deliveries by subscription. */
  pending(): Promise<ReadonlyMap<string, number>>;
  /** Deliveries on record by subscription, of those among these that have any. */
  counts(subscriptions: readonly string[]): Promise<ReadonlyMap<string, Counts>>;
  /** How many deliveries a replay would send again. */
  countReplay(filter: ReplayFilter): Promise<number>;
  replay(id: string): Promise<Replay | undefined>;
  /** Replays that are not finished, the oldest first. */
  openReplays(): Promise<Replay[]>;
  /** Newest first. */
  history(filter: HistoryFilter): Promise<Page<RememberedEntry>>;
  /** What attempts came to, slot by slot, the earliest first; slots without any are left out. */
  tallies(request: TallyRequest): Promise<Tally[]>;
  /** The answers that came, over the same time, the earliest spans first. */
  answers(request: AnswersRequest): Promise<AnswerCount[]>;
  /** What waits, by subscription, of every one that has something waiting. */
  backlog(): Promise<ReadonlyMap<string, Backlog>>;
  /** What waits for one subscription; undefined where nothing does. */
  backlogOf(subscription: string): Promise<Backlog | undefined>;
  /** The same, and how much of it is due. */
  due(now: Instant): Promise<ReadonlyMap<string, DueBacklog>>;
  /** For how many milliseconds the oldest row of each kind has been overdue for pruning, if any is. */
  overdue(times: KeptTimes): Promise<ReadonlyMap<PrunedKind, number>>;
  audit(): Promise<Audit>;
  /**
   * The types of events that publishers posted since then; undefined where more than `most` types are
   * known. Events of tests and notices don't count.
   */
  seenTypes(
    request: { readonly since: Instant; readonly most: number },
  ): Promise<SeenTypes | undefined>;
  /** The journal, where it holds 64 MiB or more; undefined where it is shorter, or there is none. */
  longJournal(): Promise<LongJournal | undefined>;
  /** How much room what is stored takes, and how much of that holds nothing. */
  space(): Promise<Space>;
  /**
   * Tells a listener of what each commit from now on changed, right after it; the answer ends that.
   * A listener that throws is its own trouble.
   */
  watch(listener: (changes: readonly Change[]) => void): () => void;
}

/** How many deliveries of a subscription are on record, by state. */
export type Counts = { readonly [state in DeliveryState]: number };

/** What to tally. Notices are in none of it. */
export type TallyRequest =
  /** One subscription, or all together where it is left out. */
  | { readonly slot: "hour"; readonly since: Instant; readonly subscription?: string }
  /** All together; there are minutes of the last two hours only. */
  | { readonly slot: "minute"; readonly since: Instant };

/** Which answers to count. */
export type AnswersRequest = TallyRequest & {
  /** Slots are added up in spans of this length, which begin at `since`. */
  readonly spanMs: number;
};

/** What the attempts that ended within a minute, or an hour, came to. */
export interface Tally {
  readonly startsAt: Instant;
  readonly firstAttempts: number;
  readonly firstSuccesses: number;
  readonly succeeded: number;
  readonly failed: number;
  /** Of the failed ones, those that another attempt is to follow. */
  readonly retrying: number;
  /** Deliveries that ended well … */
  readonly delivered: number;
  /** … and those that ended by a failed attempt. */
  readonly lost: number;
}

/** How many answers of one kind came within a span, and took about as long. */
export interface AnswerCount {
  /** When the span begins. */
  readonly startsAt: Instant;
  /** Undefined: none came. */
  readonly status?: number;
  /** As `answerTimeBucket` has it. */
  readonly took: number;
  readonly count: number;
}

/** What waits for a subscription. */
export interface Backlog {
  readonly pending: number;
  /** When the first of them is, or was, due. */
  readonly dueAt: Instant;
}

/** What waits for a subscription, and how much of it could be sent now. */
export interface DueBacklog extends Backlog {
  /**
   * Exact, but where very many are due and very many are due later: then what is beyond what was
   * counted is taken for due.
   */
  readonly due: number;
}

/** What became durable, as it is afterwards. */
export type Change =
  /**
   * Created, due at another time, finished, or another attempt on record. Not told: that shiftDue()
   * moved it, for it moves all that wait at once.
   */
  | { readonly kind: "delivery"; readonly delivery: Delivery }
  /** It began or ceased to fail, to be paused or to answer; so many of its deliveries wait. */
  | {
    readonly kind: "subscription";
    readonly subscription: string;
    readonly health: Health;
    readonly pending: number;
  };

export interface StoredEvent extends Event {
  readonly acceptedAt: Instant;
  readonly publisher?: string;
}

/** An event, and others that have the same id from other publishers or sources. */
export interface FoundEvent extends StoredEvent {
  /** Not more than 20, the first stored come first; undefined where there are none. */
  readonly sameId?: readonly Namesake[];
}

/** What tells an event from others of the same id. */
export interface Namesake {
  readonly publisher?: string;
  /** Of a CloudEvent. */
  readonly source?: string;
  readonly sentAs?: string;
}

export interface StoredDelivery extends Delivery {
  readonly event: StoredEvent;
  readonly format: FormatText;
}

/** A page of a list, newest first; `next` is the cursor of the following one. */
export interface Page<Item> {
  readonly items: Item[];
  readonly next?: string;
  /** Of a search that is to go on. */
  readonly searched?: Searched;
}

/** How far back a search has looked. */
export interface Searched {
  /** Of the last row that was looked at. */
  readonly backTo: Instant;
  /** About so many rows were passed, … */
  readonly rows: number;
  /** … of those within the time that was asked for. */
  readonly of: number;
}

/** What is looked for in deliveries and events. */
export interface Wanted {
  /** The beginning of an id, a subscription or a type, or a text in the event's data. */
  readonly q?: string;
  /** Whether the events' data is left alone. */
  readonly hidesData?: boolean;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string;
}

export interface EventFilter extends PageRequest, Wanted {
  readonly type?: string;
  readonly since?: Instant;
  readonly until?: Instant;
}

export interface HistoryFilter extends PageRequest {
  readonly subscription?: string;
  /** The delivery's id. */
  readonly delivery?: string;
}

/** An entry with its number; later ones have greater numbers. */
export interface RememberedEntry extends HistoryEntry {
  readonly seq: number;
}

export interface DeliveryFilter extends PageRequest, Wanted {
  readonly state?: StateFilter;
  readonly subscription?: string;
  readonly type?: string;
  /** The id of the event, or of several; or the one that receivers get. */
  readonly eventId?: string;
  /** The status of the last answer. */
  readonly status?: number;
  readonly since?: Instant;
  readonly until?: Instant;
}

/** Which types of events came. */
export interface SeenTypes {
  readonly types: ReadonlySet<string>;
  /** How far back the database goes; undefined where there is nothing in it. */
  readonly recordedSince?: Instant;
}

/** A journal that is longer than it gets where nobody reads in it. */
export interface LongJournal {
  readonly bytes: number;
  /** Other processes that read in it, as far as they can be known. */
  readonly readers: readonly JournalReader[];
}

/** A process that reads in the journal. */
export interface JournalReader {
  readonly pid: number;
  readonly program?: string;
}

/** Who reads in it, in words: `process 4242 (sqlite3)`. */
export function readersText({ readers }: Pick<LongJournal, "readers">): string {
  if (readers.length === 0) return "another program";
  return readers.map(({ pid, program }) =>
    program === undefined ? `process ${pid}` : `process ${pid} (${program})`
  ).join(", ");
}

/** From this length on a journal is long: where nobody reads in it, it is begun anew before. */
export const LONG_JOURNAL_BYTES = 64 * 1024 * 1024;

/** How large a database is, and how much of that holds nothing and will be used again. */
export interface Space {
  readonly bytes: number;
  readonly freeBytes: number;
}

/** What the database says of the promises: counts, and every row that breaks one. */
export interface Audit {
  readonly events: number;
  readonly deliveries: Counts;
  readonly attempts: number;
  /** Sentences, each naming what breaks which promise; empty when all is well. */
  readonly faults: readonly string[];
  /** Instants out of their order, as a wall clock leaves them that was set back. */
  readonly notes: readonly string[];
}

/** Both sides of one outbox. */
export interface WholeOutbox extends Outbox, OutboxReader {}
