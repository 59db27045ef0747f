// Asynchronous as the port is.
// deno-lint-ignore-file require-await
import type { Attempt } from "../../domain/attempt.ts";
import { type Delivery, isInState } from "../../domain/delivery.ts";
import { scopeText } from "../../domain/event.ts";
import type { Health } from "../../domain/health.ts";
import type { Instant } from "../../domain/instant.ts";
import { decodePosition, encodePosition, type Position } from "../ids.ts";
import { InvalidCursorError } from "../errors.ts";
import type { KeptTimes, PrunedKind, Replay, ReplayFilter } from "../outbox.ts";
import type {
  AnswerCount,
  AnswersRequest,
  Audit,
  Backlog,
  Counts,
  DeliveryFilter,
  DueBacklog,
  EventFilter,
  FoundEvent,
  HistoryFilter,
  LongJournal,
  OutboxReader,
  Page,
  PageRequest,
  RememberedEntry,
  SeenTypes,
  Space,
  StoredDelivery,
  StoredEvent,
  Tally,
  TallyRequest,
} from "../reader.ts";
import { spellingsOf } from "../spellings.ts";
import { Pruning } from "./pruning.ts";
import { fitting } from "./replaying.ts";
import {
  deliveryOf,
  type DeliveryRow,
  type EventRow,
  idOf,
  oldestFirst,
  type Rows,
  storedEvent,
} from "./rows.ts";

/** So many others of the same id are told of. */
const MOST_NAMESAKES = 20;

/** The reading side: every answer is worked out from the rows at the time of asking. */
export class MemoryReader implements Omit<OutboxReader, "watch"> {
  readonly #rows: Rows;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  async event(id: string, publisher?: string): Promise<FoundEvent | undefined> {
    const row = this.#event(id, publisher);
    if (!row) return undefined;
    const sameId = [...this.#rows.events.values()]
      .filter((other) => other !== row && other.event.id === row.event.id)
      .slice(0, MOST_NAMESAKES)
      .map(({ publisher, source, event: { sentAs } }) => ({
        ...(publisher !== undefined && { publisher }),
        ...(source !== undefined && { source }),
        ...(sentAs !== undefined && { sentAs }),
      }));
    return { ...storedEvent(row), ...(sameId.length > 0 && { sameId }) };
  }

  async delivery(id: string): Promise<StoredDelivery | undefined> {
    const row = this.#rows.delivery(id);
    return row && { ...deliveryOf(row), event: storedEvent(row.event), format: row.format };
  }

  async deliveriesOf(eventId: string, publisher?: string): Promise<Delivery[]> {
    return this.#event(eventId, publisher)?.deliveries.map(deliveryOf) ?? [];
  }

  async attempts(deliveryId: string): Promise<Attempt[]> {
    return [...this.#rows.delivery(deliveryId)?.attempts ?? []];
  }

  async deliveries(filter: DeliveryFilter): Promise<Page<Delivery>> {
    const { state, subscription, type, status, eventId, since = 0, until = Infinity } = filter;
    const rows = [...this.#rows.deliveries.values()].filter((row) =>
      row.createdAt >= since && row.createdAt < until &&
      (state === undefined || isInState(row, state)) &&
      (subscription === undefined || row.subscription === subscription) &&
      (type === undefined || row.event.event.type === type) &&
      (status === undefined || row.lastStatus === status) &&
      (eventId === undefined || this.#rows.eventsNamed(eventId).includes(row.event)) &&
      isFound(row, filter)
    );
    return pageOf(rows, { ...filter, item: deliveryOf });
  }

  async events(filter: EventFilter): Promise<Page<StoredEvent>> {
    const { type, since = 0, until = Infinity } = filter;
    const rows = [...this.#rows.events.values()].filter((row) =>
      row.acceptedAt >= since && row.acceptedAt < until &&
      (type === undefined || row.event.type === type) &&
      (isEventFound(row, filter) || row.deliveries.some((each) => isNamed(each, filter.q)))
    ).map((row) => ({ ...row, createdAt: row.acceptedAt }));
    return pageOf(rows, { ...filter, item: storedEvent });
  }

  async health(): Promise<ReadonlyMap<string, Health>> {
    return new Map(this.#rows.health);
  }

  async pending(): Promise<ReadonlyMap<string, number>> {
    return new Map([...await this.backlog()].map(([id, { pending }]) => [id, pending]));
  }

  async counts(subscriptions: readonly string[]): Promise<ReadonlyMap<string, Counts>> {
    const counts = new Map<string, Counts>();
    for (const { subscription, state } of this.#rows.deliveries.values()) {
      if (!subscriptions.includes(subscription)) continue;
      const before = counts.get(subscription) ?? NONE;
      counts.set(subscription, { ...before, [state]: before[state] + 1 });
    }
    return counts;
  }

  async countReplay(filter: ReplayFilter): Promise<number> {
    return fitting(this.#rows, filter).length;
  }

  async replay(id: string): Promise<Replay | undefined> {
    return [...this.#rows.replays.values()].find(({ replay }) => replay.id === id)?.replay;
  }

  async openReplays(): Promise<Replay[]> {
    const replays = [...this.#rows.replays.values()].map(({ replay }) => replay);
    return replays.filter(({ state }) => state === "running");
  }

  async history(
    { subscription, delivery, ...page }: HistoryFilter,
  ): Promise<Page<RememberedEntry>> {
    const entries = this.#rows.history.filter((entry) =>
      (subscription === undefined || entry.subscription === subscription) &&
      (delivery === undefined || entry.delivery === delivery)
    ).map((entry) => ({ ...entry, createdAt: entry.at }));
    // By their numbers alone: the clock may have been set back between two.
    const bySeq = (a: Position, b: Position) => a.seq - b.seq;
    const item = ({ createdAt: _, ...entry }: typeof entries[number]) => entry;
    return pageOf(entries, { ...page, item, order: bySeq });
  }

  async tallies(request: TallyRequest): Promise<Tally[]> {
    return this.#rows.tallies.of(request);
  }

  async answers(request: AnswersRequest): Promise<AnswerCount[]> {
    return this.#rows.tallies.answers(request);
  }

  async backlog(): Promise<ReadonlyMap<string, Backlog>> {
    const due = await this.due(0);
    return new Map([...due].map(([id, { pending, dueAt }]) => [id, { pending, dueAt }]));
  }

  async backlogOf(subscription: string): Promise<Backlog | undefined> {
    return (await this.backlog()).get(subscription);
  }

  async due(now: Instant): Promise<ReadonlyMap<string, DueBacklog>> {
    const backlogs = new Map<string, DueBacklog>();
    for (const { subscription, dueAt } of this.#rows.pending()) {
      const before = backlogs.get(subscription) ?? { pending: 0, dueAt: Infinity, due: 0 };
      backlogs.set(subscription, {
        pending: before.pending + 1,
        dueAt: Math.min(before.dueAt, dueAt),
        due: before.due + (dueAt <= now ? 1 : 0),
      });
    }
    return backlogs;
  }

  async overdue(times: KeptTimes): Promise<ReadonlyMap<PrunedKind, number>> {
    return new Pruning(this.#rows).overdue(times);
  }

  async audit(): Promise<Audit> {
    const deliveries = { ...NONE };
    let attempts = 0;
    for (const row of this.#rows.deliveries.values()) {
      deliveries[row.state]++;
      attempts += row.attempts.length;
    }
    return { events: this.#rows.events.size, deliveries, attempts, faults: [], notes: [] };
  }

  async seenTypes(
    { since, most }: { readonly since: Instant; readonly most: number },
  ): Promise<SeenTypes | undefined> {
    const events = [...this.#rows.events.values()];
    const types = new Set(
      events.filter(({ acceptedAt, deliveries }) =>
        acceptedAt >= since &&
        deliveries.every(({ cause }) => cause !== "test" && cause !== "notice")
      ).map(({ event }) => event.type),
    );
    if (types.size > most) return undefined;
    const recordedSince = Math.min(
      ...events.map(({ acceptedAt }) => acceptedAt),
      ...this.#rows.history.map(({ at }) => at),
      this.#rows.tallies.oldest ?? Infinity,
    );
    return { types, ...(recordedSince < Infinity && { recordedSince }) };
  }

  async longJournal(): Promise<LongJournal | undefined> {
    return undefined;
  }

  async space(): Promise<Space> {
    return { bytes: 0, freeBytes: 0 };
  }

  #event(id: string, publisher: string | undefined): EventRow | undefined {
    const rows = this.#rows.eventsNamed(id)
      .filter((row) => publisher === undefined || (row.publisher ?? "") === publisher);
    return rows.find(({ event }) => (event.sentAs ?? event.id) === id) ?? rows[0];
  }
}

const NONE: { readonly [state in keyof Counts]: number } = {
  pending: 0,
  delivered: 0,
  exhausted: 0,
  cancelled: 0,
};

/** A page of rows, newest first. */
function pageOf<Row extends Position, Item>(
  rows: readonly Row[],
  { limit, cursor, item, order = oldestFirst }: PageRequest & {
    readonly item: (row: Row) => Item;
    readonly order?: (a: Position, b: Position) => number;
  },
): Page<Item> {
  const before = cursor === undefined ? undefined : decodePosition(cursor);
  if (cursor !== undefined && !before) throw new InvalidCursorError(cursor);
  const left = rows.filter((row) => !before || order(row, before) < 0)
    .sort((a, b) => order(b, a));
  const page = left.slice(0, limit), last = page.at(-1);
  const items = page.map(item);
  return left.length > limit && last ? { items, next: encodePosition(last) } : { items };
}

interface Search {
  readonly q?: string;
  readonly hidesData?: boolean;
}

function isFound(row: DeliveryRow, { q, hidesData }: Search): boolean {
  return q === undefined || row.subscription.startsWith(q) || isNamed(row, q) ||
    isEventFound(row.event, { q, ...(hidesData !== undefined && { hidesData }) });
}

/** Whether a delivery's id begins so. */
function isNamed(row: DeliveryRow, q = ""): boolean {
  return /^dlv_/i.test(q) && idOf(row).toLowerCase().startsWith(q.toLowerCase());
}

function isEventFound({ event }: EventRow, { q, hidesData = false }: Search): boolean {
  if (q === undefined || [event.type, event.id, event.sentAs].some((name) => name?.startsWith(q))) {
    return true;
  }
  const texts = [event.data, scopeText(event.scope) ?? "", event.metadata ?? ""].map(lowerAscii);
  return !hidesData &&
    spellingsOf(q).some((spelling) => texts.some((text) => text.includes(lowerAscii(spelling))));
}

function lowerAscii(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
