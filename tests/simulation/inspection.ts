import type { Content } from "../support/storages.ts";
import type { Witness } from "./witness.ts";

/** What publishers and operators were told, to be compared with the database. */
export interface Told {
  readonly accepted: ReadonlyMap<string, { data: string; deliveries: readonly string[] }>;
  readonly refused: ReadonlySet<string>;
  /** The subscriptions of an event when it was posted, by its data, which is unique. */
  readonly mayGet: ReadonlyMap<string, ReadonlySet<string>>;
  readonly replays: ReadonlySet<string>;
}

/** Compares what is stored at the end of a run with what was told and seen; returns differences. */
export function inspect(content: Content, witness: Witness, told: Told): string[] {
  return [
    ...eventsThatDoNotFit(content, told),
    ...deliveriesThatNobodyWanted(content, witness, told),
    ...deliveriesThatDoNotFit(content, witness, told),
    ...noticesThatDoNotFit(content, witness),
    ...healthThatDoesNotFit(content),
  ];
}

function eventsThatDoNotFit({ events }: Content, { accepted, refused }: Told): string[] {
  const stored = new Map(events.map(({ id, data }) => [id, data]));
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
  { events }: Content,
  { deliveries }: Witness,
  { mayGet }: Told,
): string[] {
  const dataOf = new Map(events.map(({ id, data }) => [id, data]));
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

function deliveriesThatDoNotFit(
  { deliveries: rows }: Content,
  witness: Witness,
  { accepted }: Told,
): string[] {
  const bySeq = new Map(rows.map((row) => [row.seq, row]));
  const found: string[] = [];
  for (const { id, seq, state } of witness.deliveries.values()) {
    const row = bySeq.get(seq);
    if (!row) found.push(`${id} was stored, and is not there`);
    else if (row.state !== state) found.push(`${id} is ${row.state}, not ${state}`);
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
function noticesThatDoNotFit(
  { events, untold, history }: Content,
  { deliveries }: Witness,
): string[] {
  const notices = events.filter(({ id }) => id.startsWith("ntc_"));
  const [digests, changeNotices] = partition(notices, ({ type }) => type === "delivery.exhausted");
  const told = countBy(
    changeNotices,
    ({ type, data }) => `${type} ${JSON.parse(data).subscription ?? ""}`,
  );
  for (
    const { subscription, count } of [
      ...digests.flatMap(({ data }) => JSON.parse(data).examples),
      ...untold,
    ]
  ) add(told, `delivery.exhausted ${subscription}`, Number(count));
  // How a channel does is not told by the channels, but where an operator has paused it.
  const changes = history.filter(({ kind, subscription = "", by }) =>
    ["failing", "recovered", "paused", "rejected"].includes(kind) &&
    (!subscription.startsWith("notify:") || by !== undefined)
  );
  const happened = countBy(
    changes,
    ({ kind, subscription = "" }) =>
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
function healthThatDoesNotFit({ health, history }: Content): string[] {
  return [...health].flatMap(([id, { failingSince, pausedAt }]) => {
    const kinds = history.filter(({ subscription }) => subscription === id)
      .map(({ kind }) => kind);
    return [
      ...turnsThatDoNotFit(id, kinds, ["failing", "recovered"], failingSince !== undefined),
      ...turnsThatDoNotFit(id, kinds, ["paused", "resumed"], pausedAt !== undefined),
    ];
  });
}

function turnsThatDoNotFit(
  name: string,
  kinds: readonly string[],
  [on, off]: [string, string],
  isOn: boolean,
): string[] {
  const taken = kinds.filter((kind) => kind === on || kind === off);
  const wrong = taken.some((turn, index) => turn !== (index % 2 === 0 ? on : off));
  if (wrong) return [`the history of ${name} is ${taken.join(" ")}`];
  return (taken.at(-1) === on) === isOn
    ? []
    : [`${name} is ${isOn ? "" : "not "}${on}: ${taken.join(" ")}`];
}
