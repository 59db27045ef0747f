import type { DatabaseSync } from "node:sqlite";
import type { Witness } from "./witness.ts";

/** What publishers and operators were told, to be compared with the database. */
export interface Told {
  readonly accepted: ReadonlyMap<string, { data: string; deliveries: readonly string[] }>;
  readonly refused: ReadonlySet<string>;
  /** The subscriptions of an event when it was posted, by its data, which is unique. */
  readonly mayGet: ReadonlyMap<string, ReadonlySet<string>>;
  readonly replays: ReadonlySet<string>;
}

/** Compares the database at the end of a run with what was told and seen; returns differences. */
export function inspect(db: DatabaseSync, witness: Witness, told: Told): string[] {
  return [
    ...eventsThatDoNotFit(db, told),
    ...deliveriesThatNobodyWanted(db, witness, told),
    ...deliveriesThatDoNotFit(db, witness, told),
    ...noticesThatDoNotFit(db, witness),
    ...healthThatDoesNotFit(db),
  ];
}

function eventsThatDoNotFit(db: DatabaseSync, { accepted, refused }: Told): string[] {
  const rows = db.prepare("select cast(id as text) as id, cast(data as text) as data from events")
    .all() as { id: string; data: string }[];
  const stored = new Map(rows.map(({ id, data }) => [id, data]));
  return [
    ...[...accepted].flatMap(([id, { data }]) => {
      if (!stored.has(id)) return [`event ${id} was accepted, and is not there`];
      return data === "" || stored.get(id) === data ? [] : [`event ${id} is ${stored.get(id)}`];
    }),
    ...[...refused].flatMap((id) =>
      stored.has(id) && !accepted.has(id) ? [`event ${id} was refused, and is there`] : []
    ),
  ];
}

/** Each event has one delivery for each matching subscription, even if it was never answered. */
function deliveriesThatNobodyWanted(
  db: DatabaseSync,
  { deliveries }: Witness,
  { mayGet }: Told,
): string[] {
  const rows = db.prepare("select cast(id as text) as id, cast(data as text) as data from events")
    .all() as { id: string; data: string }[];
  const dataOf = new Map(rows.map(({ id, data }) => [id, data]));
  const seen = new Set<string>();
  return [...deliveries.values()].flatMap(({ id, event, subscription, cause }) => {
    if (cause !== "event") return [];
    const pair = `${event} ${subscription}`;
    if (seen.has(pair)) return [`${id} is a second one of ${event} for ${subscription}`];
    seen.add(pair);
    return mayGet.get(dataOf.get(event) ?? "")?.has(subscription)
      ? []
      : [`${id} of ${event} went to ${subscription}, which did not want it`];
  });
}

interface Row {
  readonly seq: number;
  readonly state: number;
  readonly reason: string | null;
  readonly attempt_count: number;
}

const STATES = ["pending", "delivered", "exhausted", "cancelled"];

function deliveriesThatDoNotFit(
  db: DatabaseSync,
  witness: Witness,
  { accepted }: Told,
): string[] {
  const rows = db.prepare(
    "select seq, state, cast(reason as text) as reason, attempt_count from deliveries_now",
  ).all() as unknown as Row[];
  const bySeq = new Map(rows.map((row) => [row.seq, row]));
  const found: string[] = [];
  for (const { id, seq, state } of witness.deliveries.values()) {
    const row = bySeq.get(seq);
    if (!row) found.push(`${id} was stored, and is not there`);
    else if (STATES[row.state] !== state) found.push(`${id} is ${STATES[row.state]}, not ${state}`);
    else if (state === "pending") found.push(`${id} is pending in the end`);
    else if (state !== "delivered" && !row.reason) found.push(`${id} is ${state} without a reason`);
  }
  if (rows.length !== witness.deliveries.size) {
    found.push(`there are ${rows.length} deliveries, ${witness.deliveries.size} were stored`);
  }
  for (const [event, { deliveries }] of accepted) {
    for (const id of deliveries) {
      if (witness.deliveries.get(id)?.event !== event) found.push(`${id} of ${event} is missing`);
    }
  }
  return found;
}

/** Each change causes one notice to the only channel; exhausted deliveries are in digests. */
function noticesThatDoNotFit(db: DatabaseSync, { deliveries }: Witness): string[] {
  const notices = db.prepare(`
    select cast(t.name as text) as kind, cast(e.data as text) as data
    from events e join types t on t.id = e.type
    where cast(e.id as text) like 'ntc_%'`).all() as { kind: string; data: string }[];
  const [digests, changeNotices] = partition(notices, ({ kind }) => kind === "delivery.exhausted");
  const told = countBy(
    changeNotices,
    ({ kind, data }) => `${kind} ${JSON.parse(data).subscription ?? ""}`,
  );
  const untold = db.prepare(`
    select cast(s.name as text) as subscription, deliveries as count
    from exhausted_untold u join subscriptions s on s.id = u.subscription`).all();
  for (
    const { subscription, count } of [
      ...digests.flatMap(({ data }) => JSON.parse(data).examples),
      ...untold,
    ]
  ) add(told, `delivery.exhausted ${subscription}`, Number(count));
  const changes = db.prepare(`
    select h.kind, coalesce(cast(s.name as text), '') as subscription
    from history h left join subscriptions s on s.id = h.subscription
    where h.kind in ('failing', 'recovered', 'paused', 'rejected')
      -- How a channel does is not told by the channels, but where an operator has paused it.
      and (coalesce(cast(s.name as text), '') not like 'notify:%' or h.operator is not null)`)
    .all() as {
      kind: string;
      subscription: string;
    }[];
  const happened = countBy(
    changes,
    ({ kind, subscription }) =>
      kind === "rejected" ? "config.rejected " : `subscription.${kind} ${subscription}`,
  );
  for (const { state, subscription } of deliveries.values()) {
    if (state !== "exhausted" || subscription.startsWith("notify:")) continue;
    add(happened, `delivery.exhausted ${subscription}`, 1);
  }
  return differences(told, happened, "notice");
}

function partition<Item>(items: readonly Item[], test: (item: Item) => boolean): [Item[], Item[]] {
  return [items.filter(test), items.filter((item) => !test(item))];
}

function add(counts: Map<string, number>, key: string, by: number): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}

function countBy<Item>(items: readonly Item[], keyOf: (item: Item) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}

function differences(
  told: ReadonlyMap<string, number>,
  happened: ReadonlyMap<string, number>,
  what: string,
): string[] {
  return [...new Set([...told.keys(), ...happened.keys()])].flatMap((key) => {
    const [was, is] = [happened.get(key) ?? 0, told.get(key) ?? 0];
    return was === is ? [] : [`${is} times the ${what} of ${key}, which came about ${was} times`];
  });
}

/** Failing and recovered alternate, as do paused and resumed; the last one is the current state. */
function healthThatDoesNotFit(db: DatabaseSync): string[] {
  const rows = db.prepare(`
    select cast(s.name as text) as name, h.failing_since, h.paused_at,
      (select group_concat(kind, ' ') from (
        select kind from history where subscription = s.id
          and kind in ('failing', 'recovered') order by seq
      )) as failures,
      (select group_concat(kind, ' ') from (
        select kind from history where subscription = s.id
          and kind in ('paused', 'resumed') order by seq
      )) as pauses
    from health h join subscriptions s on s.id = h.subscription`).all() as {
    name: string;
    failing_since: number | null;
    paused_at: number | null;
    failures: string | null;
    pauses: string | null;
  }[];
  return rows.flatMap(({ name, failing_since, paused_at, failures, pauses }) => [
    ...turnsThatDoNotFit(name, failures, ["failing", "recovered"], failing_since !== null),
    ...turnsThatDoNotFit(name, pauses, ["paused", "resumed"], paused_at !== null),
  ]);
}

function turnsThatDoNotFit(
  name: string,
  turns: string | null,
  [on, off]: [string, string],
  isOn: boolean,
): string[] {
  const taken = turns === null ? [] : turns.split(" ");
  const wrong = taken.some((turn, index) => turn !== (index % 2 === 0 ? on : off));
  if (wrong) return [`the history of ${name} is ${turns}`];
  return (taken.at(-1) === on) === isOn ? [] : [`${name} is ${isOn ? "" : "not "}${on}: ${turns}`];
}
