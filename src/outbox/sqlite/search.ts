import type { Instant } from "../../domain/instant.ts";
import type { DeliveryFilter, EventFilter, Searched } from "../reader.ts";
import { InvalidCursorError } from "../errors.ts";
import { toBytes } from "./bytes.ts";
import { decodePosition, encodePosition, type Position } from "../ids.ts";
import type { Names } from "./names.ts";
import { ALL_TYPES, STATE_FILTERS } from "./schema.ts";
import {
  DELIVERY_LISTS,
  type DeliveryList,
  EVENT_LISTS,
  type EventList,
  SEARCH_SQL,
} from "./search_sql.ts";
import { deliveriesNamed, endOfPrefix, likePatterns, type Range } from "./search_terms.ts";
import { MOST_SPELLINGS } from "../spellings.ts";
import { newestFirst, type Reading, Walk, type Walked, type Wanted } from "./walk.ts";

/** For so long one call looks on; then its page ends, and its `next` goes on. */
export const CALL_MS = 500;

/** The same of a walk where indexes have given something already, which is wanted at once. */
const WALK_ON_MS = 50;

/** So many events whose ids begin alike are looked up beforehand; where there are more, all are walked. */
const MOST_NAMED = 1_000;

/** What a call found. */
export interface FoundRows {
  /** The numbers of the rows, newest first. */
  readonly seqs: readonly number[];
  readonly next?: string;
  readonly searched?: Searched;
}

/** A part of a search: first comes what an index gives at once, and last the walk through everything. */
interface Stage extends Walked {
  /** What its cursors begin with; nothing for the walk, whose are the same as those of a list. */
  readonly letter: "" | "e" | "i" | "s" | "t";
  /** It begins before this. */
  readonly before: Position;
}

/**
 * Looks for deliveries and events. Ids, subscriptions and types are compared from their beginning, letter
 * for letter, by their indexes. A text in the data is walked for: an index of all texts (FTS5, trigrams)
 * took 39 to 65 µs an event and half to almost twice the file's size, while a walk sees a million rows a
 * second (December 2026).
 */
export class Search {
  readonly #reading: Reading;
  readonly #subscriptions: Names;
  readonly #types: Names;

  constructor(reading: Reading, names: { subscriptions: Names; types: Names }) {
    this.#reading = reading;
    this.#subscriptions = names.subscriptions;
    this.#types = names.types;
  }

  /** `list` is what leaves the fewest rows to look at for the filters; without `q` it is all there is. */
  async deliveries(
    filter: DeliveryFilter,
    { list, of }: { list: DeliveryList; of?: number | string },
  ): Promise<FoundRows> {
    const { q } = filter;
    const fits = this.#deliveryFilters(filter);
    const stage = (
      letter: Stage["letter"],
      { list, of, wanted = {} }: { list: DeliveryList; of?: number | string; wanted?: Wanted },
    ): Stage => ({
      letter,
      sql: DELIVERY_LISTS[list],
      ...(of !== undefined && { of }),
      from: bottomOf(filter),
      before: topOf(filter),
      seeks: false,
      wanted: { ...NOTHING_ELSEWHERE, ...fits, ...wanted },
    });
    if (q === undefined) {
      const found = await this.#walk([stage("", { list, of: of! })], filter);
      const isFull = found.seqs.length === filter.limit;
      return isFull ? found : { ...found, ...this.#progress(found, filter, "Delivery") };
    }

    const events = this.#eventsNamed(q);
    const range = deliveriesNamed(q);
    const stages: Stage[] = [];
    let elsewhere: Wanted = {};
    if (events && events.length > 0) {
      const notEvents = JSON.stringify(events);
      stages.push(stage("e", { list: "byEvent", of: notEvents }));
      elsewhere = { notEvents };
    }
    if (range) {
      stages.push(narrowed(stage("i", { list, of: of!, wanted: elsewhere }), range));
      elsewhere = { ...elsewhere, ...outside(range) };
    }
    // Where the filters leave few rows, all of them are looked at as soon.
    if (list === "byTime") {
      const subscription = this.#subscriptions.find(q), type = this.#types.find(q);
      if (subscription !== undefined) {
        const wanted = { ...elsewhere, subscription };
        stages.push(stage("s", { list: "bySubscription", of: subscription, wanted }));
        elsewhere = { ...elsewhere, notSubscription: subscription };
      }
      if (type !== undefined) {
        stages.push(stage("t", { list: "byType", of: type, wanted: { ...elsewhere, type } }));
        elsewhere = { ...elsewhere, notType: type };
      }
    }
    const wanted = { ...elsewhere, ...textFor(filter, { idsToo: events === undefined }) };
    stages.push({ ...stage("", { list, of: of!, wanted }), seeks: true });
    const found = await this.#walk(stages, filter);
    return { ...found, ...this.#progress(found, filter, "Delivery") };
  }

  async events(filter: EventFilter): Promise<FoundRows> {
    const { q } = filter;
    const type = filter.type === undefined ? undefined : this.#types.find(filter.type);
    if (filter.type !== undefined && type === undefined) return { seqs: [] };
    const stage = (
      letter: Stage["letter"],
      { list, of, wanted }: { list: EventList; of: number | string; wanted: Wanted },
    ): Stage => ({
      letter,
      sql: EVENT_LISTS[list],
      of,
      from: bottomOf(filter),
      before: topOf(filter),
      seeks: false,
      wanted: { type: type ?? null, notType: null, notEvents: null, ...wanted },
    });
    const all = { list: "byType", of: type ?? ALL_TYPES } as const;
    if (q === undefined) return await this.#walk([stage("", { ...all, wanted: {} })], filter);

    const named = this.#eventsNamed(q);
    const events = [...named ?? [], ...this.#eventsOf(deliveriesNamed(q))];
    const stages: Stage[] = [];
    let elsewhere: Wanted = {};
    if (events.length > 0) {
      const notEvents = JSON.stringify(events);
      stages.push(stage("e", { list: "byId", of: notEvents, wanted: {} }));
      elsewhere = { notEvents };
    }
    const exactly = type === undefined ? this.#types.find(q) : undefined;
    if (exactly !== undefined) {
      stages.push(stage("t", { list: "byType", of: exactly, wanted: elsewhere }));
      elsewhere = { ...elsewhere, notType: exactly };
    }
    const wanted = { ...elsewhere, ...textFor(filter, { idsToo: named === undefined }) };
    stages.push({ ...stage("", { ...all, wanted }), seeks: true });
    const found = await this.#walk(stages, filter);
    return { ...found, ...this.#progress(found, filter, "Event") };
  }

  #deliveryFilters({ state, subscription, type, status }: DeliveryFilter): Wanted {
    const number = (names: Names, name: string | undefined) =>
      name === undefined ? null : names.find(name) ?? NO_NUMBER;
    return {
      state: state === undefined ? null : STATE_FILTERS.indexOf(state),
      subscription: number(this.#subscriptions, subscription),
      type: number(this.#types, type),
      status: status ?? null,
    };
  }

  /** The events whose ids begin so; undefined where they are too many to look them up. */
  #eventsNamed(q: string): number[] | undefined {
    const id = toBytes(q);
    const params = { id, idEnd: endOfPrefix(id), limit: MOST_NAMED + 1 };
    const seqs = this.#ask(SEARCH_SQL.eventsNamed, params).map(({ seq }) => seq);
    return seqs.length > MOST_NAMED ? undefined : seqs;
  }

  /** The events of the deliveries there, where they are few. */
  #eventsOf(range: Range | undefined): number[] {
    if (!range) return [];
    const params = { ...boundsOf(range), limit: MOST_NAMED };
    return this.#ask(SEARCH_SQL.eventsOfDeliveries, params).map(({ seq }) => seq);
  }

  async #walk(
    stages: readonly Stage[],
    { limit, cursor }: { limit: number; cursor?: string },
  ): Promise<FoundRows> {
    const { clock } = this.#reading;
    const walk = new Walk(this.#reading);
    let endsAtMs = clock.monotonicMs() + CALL_MS;
    const found: Position[] = [];
    const begun = startFor(stages, cursor);
    for (const [index, stage] of stages.entries()) {
      if (index < begun.index) continue;
      let before = index === begun.index ? begun.before : stage.before;
      if (stage.seeks && found.length > 0) endsAtMs = clock.monotonicMs() + WALK_ON_MS;
      for (let isOver = false; !isOver;) {
        const slice = await walk.slice(stage, before, limit - found.length);
        const isMore = found.length + slice.found.length > limit;
        found.push(...slice.found.slice(0, limit - found.length));
        const following = stages[index + 1];
        if (isMore) return page(found, cursorAt(stage, found.at(-1)!));
        if (slice.reached) before = slice.reached;
        else if (!following) return page(found);
        const isLate = !walk.isShort && clock.monotonicMs() >= endsAtMs;
        const isEnough = found.length === limit || isLate;
        if (isEnough) {
          return page(
            found,
            slice.reached ? cursorAt(stage, before) : cursorAt(following!, following!.before),
          );
        }
        isOver = !slice.reached;
      }
    }
    return page(found);
  }

  /** How far a search has got, where it goes on and walks. */
  #progress(
    { next }: FoundRows,
    { since = 0, until = TOP.createdAt }: { since?: Instant; until?: Instant },
    rows: "Delivery" | "Event",
  ): { searched?: Searched } {
    const reached = next === undefined ? undefined : decodePosition(next);
    const [newest] = this.#ask(SEARCH_SQL[`newest${rows}`], { until });
    const [oldest] = this.#ask(SEARCH_SQL[`oldest${rows}`], { since });
    if (!reached || !newest || !oldest) return {};
    const of = Math.max(newest.seq - oldest.seq + 1, 1);
    const done = Math.min(Math.max(newest.seq - reached.seq + 1, 0), of);
    return { searched: { backTo: Math.min(reached.createdAt, newest.created_at), rows: done, of } };
  }

  #ask(sql: string, params: Wanted): { readonly seq: number; readonly created_at: Instant }[] {
    const { db, prepared } = this.#reading;
    const statement = prepared.get(sql) ?? db.prepare(sql);
    prepared.set(sql, statement);
    return statement.all(params) as { seq: number; created_at: Instant }[];
  }
}

/** A number that no name has. */
const NO_NUMBER = -1;

/** What no other stage has given. */
const NOTHING_ELSEWHERE: Wanted = {
  notEvents: null,
  notSubscription: null,
  notType: null,
  notFromAt: null,
  notFromSeq: null,
  notBeforeAt: null,
  notBeforeSeq: null,
};

function outside({ from, before }: Range): Wanted {
  return {
    notFromAt: from.createdAt,
    notFromSeq: from.seq,
    notBeforeAt: before.createdAt,
    notBeforeSeq: before.seq,
  };
}

function boundsOf({ from, before }: Range): Wanted {
  return {
    fromAt: from.createdAt,
    fromSeq: from.seq,
    beforeAt: before.createdAt,
    beforeSeq: before.seq,
  };
}

/** Only the rows in the range. */
function narrowed(stage: Stage, { from, before }: Range): Stage {
  return {
    ...stage,
    from: isNewer(from, stage.from) ? from : stage.from,
    before: isNewer(before, stage.before) ? stage.before : before,
  };
}

/** What a row has that is looked for. */
function textFor(
  { q, hidesData = false }: { q?: string; hidesData?: boolean },
  { idsToo }: { idsToo: boolean },
): Wanted {
  const name = toBytes(q!), patterns = hidesData ? [] : likePatterns(q!);
  const texts = Array.from(
    { length: MOST_SPELLINGS },
    (_, index) => [`text${index + 1}`, patterns[index] ?? null],
  );
  return {
    name,
    nameEnd: endOfPrefix(name),
    id: idsToo ? name : null,
    ...Object.fromEntries(texts),
  };
}

/** After all that there can be. */
const TOP: Position = { createdAt: 2 ** 48 - 1, seq: 0 };

function topOf({ until }: { until?: Instant }): Position {
  return until === undefined || until > TOP.createdAt ? TOP : { createdAt: until, seq: 0 };
}

function bottomOf({ since = 0 }: { since?: Instant }): Position {
  return { createdAt: since, seq: 0 };
}

function isNewer(a: Position, b: Position): boolean {
  return a.createdAt > b.createdAt || a.createdAt === b.createdAt && a.seq > b.seq;
}

function page(found: readonly Position[], next?: string): FoundRows {
  const ordered = [...found].sort(newestFirst);
  return { seqs: ordered.map(({ seq }) => seq), ...(next !== undefined && { next }) };
}

function cursorAt({ letter }: Stage, position: Position): string {
  return letter + encodePosition(position);
}

/** Where a cursor goes on: in its stage or, where that is no more, at the beginning of the next. */
function startFor(
  stages: readonly Stage[],
  cursor: string | undefined,
): { index: number; before: Position } {
  if (cursor === undefined) return { index: 0, before: stages[0]!.before };
  const [, letter, digits] = /^([eist]?)([^]*)$/.exec(cursor)!;
  const position = decodePosition(digits!);
  if (!position) throw new InvalidCursorError(cursor);
  const order = LETTERS.indexOf(letter as Stage["letter"]);
  const index = stages.findIndex((stage) => LETTERS.indexOf(stage.letter) >= order);
  const { letter: found, before } = stages[index]!;
  return { index, before: found === letter && isNewer(before, position) ? position : before };
}

/** In the order of the stages. */
const LETTERS: readonly Stage["letter"][] = ["e", "i", "s", "t", ""];
