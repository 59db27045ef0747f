import { isInState } from "./reading.ts";
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

const NEWEST_FIRST = "order by created_at desc, seq desc";

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

/** A source of rows: what it reads, and which column has a delivery's number. */
interface Source {
  readonly rows: string;
  readonly number: "seq" | "delivery";
}

/** One or several sources; what comes from the last of them, where there are several, is little. */
function deliveryList(...sources: readonly Source[]): ListSql {
  const fromAll = (select: (source: Source) => string) => sources.map(select).join(" union all ");
  const range = ({ number }: Source) => `
    (l.created_at, l.${number}) >= (:fromAt, :fromSeq)
    and (l.created_at, l.${number}) < (:beforeAt, :beforeSeq)`;
  const position = ({ number }: Source) => `l.${number} as seq, l.created_at as created_at`;
  const joined = (source: Source, more = "") => {
    const delivery = `cross join deliveries_now d on d.seq = l.${source.number} ${more}`;
    const rows = source.rows.replace(" where ", ` ${delivery} where `);
    return `select ${position(source)} from ${rows} and ${range(source)} and ${DELIVERY_FITS}`;
  };
  const ends = fromAll((source) =>
    `select ${position(source)} from ${source.rows} and ${range(source)}`
  );
  return {
    end: `${ends} ${NEWEST_FIRST} limit 1 offset :rows - 1`,
    listed: fromAll((source) => joined(source)),
    found: fromAll((source) =>
      `${joined(source, "cross join events e on e.seq = d.event")} and ${DELIVERY_HAS}`
    ),
  };
}

/** Deliveries that the lists by subscription and type lack. */
function newDeliveries(column: "subscription" | "type"): Source {
  return {
    rows: `deliveries l where l.seq > (select delivery from rolled_up) and l.${column} = :of`,
    number: "seq",
  };
}

/** Deliveries, by what leaves the fewest to look at; `of` says of what. */
export const DELIVERY_LISTS = {
  byTime: deliveryList({
    rows: "deliveries l indexed by deliveries_by_time where true",
    number: "seq",
  }),
  bySubscription: deliveryList({
    rows: "deliveries_of_subscription l where l.subscription = :of",
    number: "delivery",
  }, newDeliveries("subscription")),
  byType: deliveryList({
    rows: "deliveries_of_type l where l.type = :of",
    number: "delivery",
  }, newDeliveries("type")),
  byPending: deliveryList(
    { rows: "pending l indexed by pending_by_time where true", number: "delivery" },
    { rows: "newly_pending l where true", number: "delivery" },
  ),
  byState: deliveryList({
    rows: "outcomes l indexed by outcomes_undelivered where l.state = :of and l.state <> 1",
    number: "delivery",
  }),
  // What an operator cancelled is among these as well.
  byFailed: deliveryList({
    rows: "outcomes l indexed by outcomes_undelivered where l.state = 2 and l.state <> 1",
    number: "delivery",
  }, {
    rows: "outcomes l indexed by outcomes_undelivered where l.state = 3 and l.state <> 1",
    number: "delivery",
  }),
  byStatus: deliveryList({
    rows:
      "outcomes l indexed by outcomes_refused where l.last_status = :of and l.last_status >= 300",
    number: "delivery",
  }, {
    rows: "pending l indexed by pending_refused where l.last_status = :of and l.last_status >= 300",
    number: "delivery",
  }),
  byEvent: deliveryList({
    rows: `deliveries l indexed by deliveries_of_event
      where l.event in (select value from json_each(:of))`,
    number: "seq",
  }),
  // Where few wait.
  pendingOf: deliveryList(
    { rows: "pending l indexed by pending_due where l.subscription = :of", number: "delivery" },
    { rows: "newly_pending l where l.subscription = :of", number: "delivery" },
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
  added: `events e where e.seq > (select event from rolled_up)
    and (:of = ${ALL_TYPES} or e.type = :of) and ${ACCEPTED_IN_RANGE}`,
};

const NAMED_EVENTS = `events e
  where e.seq in (select value from json_each(:of)) and ${ACCEPTED_IN_RANGE}`;

/** Events: of a type or all, or those of the numbers in `of`. */
export const EVENT_LISTS = {
  byType: {
    end: `${TYPED_EVENTS.ends} union all ${eventsIn(TYPED_EVENTS.added)}
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
    union all ${eventsIn(TYPED_EVENTS.added)} and ${condition}`;
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
      where (created_at, seq) >= (:fromAt, :fromSeq) and (created_at, seq) < (:beforeAt, :beforeSeq)
      limit :limit
    )`,

  // How far a search has got is told by the numbers of rows.
  newestDelivery: `
    select seq, created_at from deliveries indexed by deliveries_by_time
    where created_at < :until order by created_at desc, seq desc limit 1`,
  oldestDelivery: `
    select seq, created_at from deliveries indexed by deliveries_by_time
    where created_at >= :since order by created_at, seq limit 1`,
  newestEvent: `
    select event as seq, accepted_at as created_at from events_of_type
    where type = ${ALL_TYPES} and accepted_at < :until
    order by accepted_at desc, event desc limit 1`,
  oldestEvent: `
    select event as seq, accepted_at as created_at from events_of_type
    where type = ${ALL_TYPES} and accepted_at >= :since
    order by accepted_at, event limit 1`,
} as const;
