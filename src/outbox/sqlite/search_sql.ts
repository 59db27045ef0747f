import { IS_FRESH, isInState } from "./reading.ts";
import { ALL_TYPES } from "./schema.ts";

/**
 * The statements of a search. Each list is read from its newest rows to its oldest, a slice at a time:
 * `end` says which row is the last of a slice of so many, `listed` which rows of a range fit the filters,
 * and `found` which of those have what is looked for as well. These two come as they lie in the file, not
 * sorted: upwards, from one row to the next, SQLite reads more than twice as fast as downwards, and only
 * so does the system read ahead.
 */
export interface ListSql {
  readonly end: string;
  readonly listed: string;
  readonly found: string;
}

const IN_RANGE = `
  (d.created_at, d.seq) >= (:fromAt, :fromSeq) and (d.created_at, d.seq) < (:beforeAt, :beforeSeq)`;

const NEWEST_FIRST = "order by created_at desc, seq desc";

/** What the indexes have not taken in yet: it is little, and sorted. */
const FRESH = `deliveries d where ${IS_FRESH.replaceAll("seq >", "d.seq >")}`;

/** The filters; what is null is not asked for. And what another list has given already. */
const DELIVERY_FITS = `
  ${isInState("d")}
  and (:subscription is null or d.subscription = :subscription)
  and (:type is null or d.type = :type)
  and (:status is null or d.last_status = :status)
  and (:notSubscription is null or d.subscription <> :notSubscription)
  and (:notType is null or d.type <> :notType)
  and (:notFromAt is null or (d.created_at, d.seq) < (:notFromAt, :notFromSeq)
    or (d.created_at, d.seq) >= (:notBeforeAt, :notBeforeSeq))
  and (:notEvents is null or d.event not in (select value from json_each(:notEvents)))`;

/** Patterns beyond the first are few searches' need, and null in the others. */
const TEXT = `
  (${holds(1)} or (:text2 is not null and (${[2, 3, 4, 5, 6, 7, 8].map(holds).join(" or ")})))`;

function holds(number: number): string {
  const has = (column: string) => `e.${column} like :text${number} escape '\\'`;
  return `(:text${number} is not null and (${has("data")}
    or (e.scope is not null and ${has("scope")}) or (e.metadata is not null and ${
    has("metadata")
  })))`;
}

/** The beginning of an id, where more events have it than are looked up beforehand. */
const ID = `
  (:id is not null
    and (substr(e.id, 1, length(:id)) = :id or substr(e.sent_as, 1, length(:id)) = :id))`;

const NAMED_SUBSCRIPTION =
  "in (select id from subscriptions where name >= :name and name < :nameEnd)";
const NAMED_TYPE = "in (select id from types where name >= :name and name < :nameEnd)";

const DELIVERY_HAS = `
  (d.subscription ${NAMED_SUBSCRIPTION} or d.type ${NAMED_TYPE} or ${ID} or ${TEXT})`;

/** `from` names the rows, of which one column has to be told; `hasFresh` where they hold fresh ones too. */
function deliveryList(from: string | readonly string[], { hasFresh = false } = {}): ListSql {
  const indexed = [from].flat().map((rows) => `deliveries d ${rows}`);
  const both = (select: (rows: string) => string) =>
    [...indexed, ...(hasFresh ? [] : [FRESH])].map(select).join(" union all ");
  const ranged = both((rows) =>
    `select d.seq as seq, d.created_at as created_at from ${rows} and ${IN_RANGE}`
  );
  const listed = both((rows) =>
    `select d.seq as seq, d.created_at as created_at from ${rows} and ${IN_RANGE} and ${DELIVERY_FITS}`
  );
  const found = both((rows) =>
    `select d.seq as seq, d.created_at as created_at from ${
      rows.replace(" where ", " cross join events e on e.seq = d.event where ")
    } and ${IN_RANGE} and ${DELIVERY_FITS} and ${DELIVERY_HAS}`
  );
  return {
    end: `${ranged} ${NEWEST_FIRST} limit 1 offset :rows - 1`,
    listed,
    found,
  };
}

/** Deliveries, by what leaves the fewest to look at; `of` says of what. */
export const DELIVERY_LISTS = {
  byTime: deliveryList("indexed by deliveries_by_time where d.fresh = 0"),
  bySubscription: deliveryList(
    "indexed by deliveries_by_subscription where d.subscription = :of and d.fresh = 0",
  ),
  byType: deliveryList("indexed by deliveries_by_type where d.type = :of and d.fresh = 0"),
  byState: deliveryList(
    "indexed by deliveries_undelivered where d.state = :of and d.state <> 1 and d.fresh = 0",
  ),
  // What an operator cancelled is among these as well.
  byFailed: deliveryList([
    "indexed by deliveries_undelivered where d.state = 2 and d.state <> 1 and d.fresh = 0",
    "indexed by deliveries_undelivered where d.state = 3 and d.state <> 1 and d.fresh = 0",
  ]),
  // These two have what is fresh in their index.
  byStatus: deliveryList(
    "indexed by deliveries_refused where d.last_status = :of and d.last_status >= 300",
    { hasFresh: true },
  ),
  byEvent: deliveryList(
    "indexed by deliveries_of_event where d.event in (select value from json_each(:of))",
    { hasFresh: true },
  ),
  // Where few wait.
  pendingOf: deliveryList(
    "indexed by deliveries_due where d.subscription = :of and d.state = 0 and d.fresh = 0",
  ),
} as const;

export type DeliveryList = keyof typeof DELIVERY_LISTS;

const EVENT_FITS = `
  (:type is null or e.type = :type) and (:notType is null or e.type <> :notType)
  and (:notEvents is null or e.seq not in (select value from json_each(:notEvents)))`;

const EVENT_HAS = `(e.type ${NAMED_TYPE} or ${ID} or ${TEXT})`;

const ACCEPTED_IN_RANGE = `
  (e.accepted_at, e.seq) >= (:fromAt, :fromSeq) and (e.accepted_at, e.seq) < (:beforeAt, :beforeSeq)`;

/** Those of a type, or all: `list` is an index of them, in front of the events themselves. */
const TYPED_EVENTS = {
  indexed: `events_of_type l cross join events e on e.seq = l.event
    where l.type = :of and (l.accepted_at, l.event) >= (:fromAt, :fromSeq)
      and (l.accepted_at, l.event) < (:beforeAt, :beforeSeq)`,
  ends: `select l.event as seq, l.accepted_at as created_at from events_of_type l
    where l.type = :of and (l.accepted_at, l.event) >= (:fromAt, :fromSeq)
      and (l.accepted_at, l.event) < (:beforeAt, :beforeSeq)`,
  fresh: `events e where e.seq > (select event from indexed_until)
    and (:of = ${ALL_TYPES} or e.type = :of) and ${ACCEPTED_IN_RANGE}`,
};

const NAMED_EVENTS = `events e
  where e.seq in (select value from json_each(:of)) and ${ACCEPTED_IN_RANGE}`;

/** Events: of a type or all, or those of the numbers in `of`. */
export const EVENT_LISTS = {
  byType: {
    end: `${TYPED_EVENTS.ends} union all ${eventsIn(TYPED_EVENTS.fresh)}
      ${NEWEST_FIRST} limit 1 offset :rows - 1`,
    listed: typedEvents(EVENT_FITS),
    found: typedEvents(`${EVENT_FITS} and ${EVENT_HAS}`),
  },
  byId: {
    end: `${eventsIn(NAMED_EVENTS)} ${NEWEST_FIRST} limit 1 offset :rows - 1`,
    listed: `${eventsIn(NAMED_EVENTS)} and ${EVENT_FITS}`,
    found: `${eventsIn(NAMED_EVENTS)} and ${EVENT_FITS} and ${EVENT_HAS}`,
  },
} as const satisfies Record<string, ListSql>;

function eventsIn(rows: string): string {
  return `select e.seq as seq, e.accepted_at as created_at from ${rows}`;
}

function typedEvents(condition: string): string {
  return `
    select l.event as seq, l.accepted_at as created_at
    from ${TYPED_EVENTS.indexed} and ${condition}
    union all ${eventsIn(TYPED_EVENTS.fresh)} and ${condition}`;
}

export type EventList = keyof typeof EVENT_LISTS;

/** What a search asks before it begins. */
export const SEARCH_SQL = {
  eventsNamed: `
    select * from (
      select seq from events indexed by events_by_sent_as
      where sent_as >= :id and sent_as < :idEnd and sent_as is not null limit :limit
    )
    union
    select * from (
      select seq from events indexed by events_by_id
      where id >= :id and id < :idEnd and source is null limit :limit
    )
    union
    select * from (
      select seq from events indexed by events_by_source
      where id >= :id and id < :idEnd and source is not null limit :limit
    )
    limit :limit`,

  eventsOfDeliveries: `
    select distinct event as seq from (
      select event from deliveries indexed by deliveries_by_time
      where fresh = 0 and (created_at, seq) >= (:fromAt, :fromSeq)
        and (created_at, seq) < (:beforeAt, :beforeSeq)
      union all
      select event from deliveries
      where ${IS_FRESH} and (created_at, seq) >= (:fromAt, :fromSeq)
        and (created_at, seq) < (:beforeAt, :beforeSeq)
      limit :limit
    )`,

  // How far a search has got is told by the numbers of rows.
  newestDelivery: `
    select seq, created_at from deliveries indexed by deliveries_by_time
    where fresh = 0 and created_at < :until order by created_at desc, seq desc limit 1`,
  oldestDelivery: `
    select seq, created_at from deliveries indexed by deliveries_by_time
    where fresh = 0 and created_at >= :since order by created_at, seq limit 1`,
  newestEvent: `
    select event as seq, accepted_at as created_at from events_of_type
    where type = ${ALL_TYPES} and accepted_at < :until
    order by accepted_at desc, event desc limit 1`,
  oldestEvent: `
    select event as seq, accepted_at as created_at from events_of_type
    where type = ${ALL_TYPES} and accepted_at >= :since
    order by accepted_at, event limit 1`,
} as const;
