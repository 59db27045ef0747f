import { IS_FRESH } from "./reading.ts";
import { ALL_TYPES } from "./schema.ts";

/**
 * The statements of a search. Each list is read newest first, a slice at a time: `end` says where a slice
 * of so many rows ends, `listed` which of its rows fit the filters, and `found` which of those have what is
 * looked for as well.
 */
export interface ListSql {
  readonly end: string;
  readonly listed: string;
  readonly found: string;
}

const IN_RANGE = `
  (created_at, seq) >= (:fromAt, :fromSeq) and (created_at, seq) < (:beforeAt, :beforeSeq)`;

const DELIVERY = "seq, event, subscription, type, state, last_status, created_at";

/** What the indexes have not taken in yet: it is little, and sorted. */
const FRESH = `
  union all
  select ${DELIVERY} from deliveries where ${IS_FRESH} and ${IN_RANGE}`;

/** The filters; what is null is not asked for. And what another list has given already. */
const DELIVERY_FITS = `
  (:state is null or looked.state = :state)
  and (:subscription is null or looked.subscription = :subscription)
  and (:type is null or looked.type = :type)
  and (:status is null or looked.last_status = :status)
  and (:notSubscription is null or looked.subscription <> :notSubscription)
  and (:notType is null or looked.type <> :notType)
  and (:notFromAt is null or (looked.created_at, looked.seq) < (:notFromAt, :notFromSeq)
    or (looked.created_at, looked.seq) >= (:notBeforeAt, :notBeforeSeq))
  and looked.event not in (select value from json_each(:notEvents))`;

/** Patterns beyond the first are few searches' need, and null in the others. */
const TEXT = `
  (e.data like :text1 escape '\\' or e.scope like :text1 escape '\\'
    or e.metadata like :text1 escape '\\'
    or (:text2 is not null and (${[2, 3, 4, 5, 6, 7, 8].map(holds).join(" or ")})))`;

function holds(number: number): string {
  return `(:text${number} is not null and (e.data like :text${number} escape '\\'
    or e.scope like :text${number} escape '\\' or e.metadata like :text${number} escape '\\'))`;
}

/** The beginning of an id, where more events have it than are looked up beforehand. */
const ID = `
  (:id is not null
    and (substr(e.id, 1, length(:id)) = :id or substr(e.sent_as, 1, length(:id)) = :id))`;

const NAMED_TYPE = "in (select id from types where name >= :name and name < :nameEnd)";

const DELIVERY_HAS = `(
  looked.subscription in (select id from subscriptions where name >= :name and name < :nameEnd)
  or looked.type ${NAMED_TYPE} or ${ID} or ${TEXT})`;

function deliveryList(from: string, { hasFresh = false } = {}): ListSql {
  const rows = (columns: string) =>
    `select ${columns} from deliveries ${from} and ${IN_RANGE}
    ${hasFresh ? "" : FRESH.replace(DELIVERY, columns)}
    order by created_at desc, seq desc`;
  const slice = `(${rows(DELIVERY)} limit :rows) looked`;
  return {
    end: `${rows("seq, created_at")} limit 1 offset :rows - 1`,
    listed: `
      select looked.seq, looked.created_at from ${slice}
      where ${DELIVERY_FITS} limit :limit`,
    found: `
      select looked.seq, looked.created_at
      from ${slice} cross join events e on e.seq = looked.event
      where ${DELIVERY_FITS} and ${DELIVERY_HAS} limit :limit`,
  };
}

/** Deliveries, by what leaves the fewest to look at; `of` says of what. */
export const DELIVERY_LISTS = {
  byTime: deliveryList("indexed by deliveries_by_time where fresh = 0"),
  bySubscription: deliveryList(
    "indexed by deliveries_by_subscription where subscription = :of and fresh = 0",
  ),
  byType: deliveryList("indexed by deliveries_by_type where type = :of and fresh = 0"),
  byState: deliveryList(
    "indexed by deliveries_undelivered where state = :of and state <> 1 and fresh = 0",
  ),
  // These two have what is fresh in their index.
  byStatus: deliveryList(
    "indexed by deliveries_refused where last_status = :of and last_status >= 300",
    { hasFresh: true },
  ),
  byEvent: deliveryList(
    "indexed by deliveries_of_event where event in (select value from json_each(:of))",
    { hasFresh: true },
  ),
  // Where few wait.
  pendingOf: deliveryList(
    "indexed by deliveries_due where subscription = :of and state = 0 and fresh = 0",
  ),
} as const;

export type DeliveryList = keyof typeof DELIVERY_LISTS;

const EVENT_FITS = `
  (:notType is null or looked.type <> :notType)
  and looked.seq not in (select value from json_each(:notEvents))`;

const EVENT_ROWS = `
  select event as seq, accepted_at as created_at from events_of_type
  where type = :of
    and (accepted_at, event) >= (:fromAt, :fromSeq) and (accepted_at, event) < (:beforeAt, :beforeSeq)
  union all
  select seq, accepted_at from events
  where seq > (select event from indexed_until) and (:of = ${ALL_TYPES} or type = :of)
    and (accepted_at, seq) >= (:fromAt, :fromSeq) and (accepted_at, seq) < (:beforeAt, :beforeSeq)
  order by created_at desc, seq desc`;

const NAMED_EVENT_ROWS = `
  select seq, accepted_at as created_at from events
  where seq in (select value from json_each(:of))
    and (accepted_at, seq) >= (:fromAt, :fromSeq) and (accepted_at, seq) < (:beforeAt, :beforeSeq)
  order by created_at desc, seq desc`;

function eventList(rows: string): ListSql {
  const looked = `(${rows} limit :rows) looked cross join events e on e.seq = looked.seq`;
  const fits = EVENT_FITS.replaceAll("looked.type", "e.type");
  return {
    end: `select seq, created_at from (${rows}) limit 1 offset :rows - 1`,
    listed: `
      select looked.seq, looked.created_at from ${looked}
      where (:type is null or e.type = :type) and ${fits} limit :limit`,
    found: `
      select looked.seq, looked.created_at from ${looked}
      where (:type is null or e.type = :type) and ${fits}
        and (e.type ${NAMED_TYPE} or ${ID} or ${TEXT}) limit :limit`,
  };
}

/** Events: of a type or all, or those of the numbers in `of`. */
export const EVENT_LISTS = {
  byType: eventList(EVENT_ROWS),
  byId: eventList(NAMED_EVENT_ROWS),
} as const;

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
