import { type Condition, conditionOf, type Health, isAnswering } from "../../domain/health.ts";
import { resultWords } from "../../domain/result_words.ts";
import type { Instant } from "../../domain/instant.ts";
import { isChannelId } from "../../domain/notice.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Backlog, OutboxReader } from "../../outbox/outbox.ts";
import { Trend } from "./charts.tsx";
import { Cell, Row, State, Table, When } from "./parts.tsx";
import { deliveriesPath, subscriptionPath } from "./paths.ts";
import { type Statistics, statisticsOf } from "./statistics.ts";
import type { Viewer } from "./viewer.ts";
import { count, length, visible } from "./words.ts";

/** A subscription at a glance. */
export interface Glance {
  readonly id: string;
  readonly description?: string;
  readonly state: Condition | "removed";
  readonly health: Health;
  readonly backlog?: Backlog;
}

/** Every subscription of the config, then those that are gone and have deliveries waiting. */
export function glancesAt(
  subscriptions: Iterable<Subscription>,
  { health, backlog }: {
    health: (id: string) => Health;
    backlog: ReadonlyMap<string, Backlog>;
  },
): Glance[] {
  const glances = [...subscriptions].map(({ id, description, enabled }): Glance => ({
    id,
    ...(description === undefined ? {} : { description }),
    state: conditionOf(health(id), enabled),
    health: health(id),
    ...(backlog.has(id) ? { backlog: backlog.get(id)! } : {}),
  }));
  const known = new Set(glances.map(({ id }) => id));
  const removed = [...backlog].filter(([id]) => !known.has(id) && !isChannelId(id));
  return [
    ...glances,
    ...removed.map(([id, waiting]): Glance => ({
      id,
      state: "removed",
      health: health(id),
      backlog: waiting,
    })),
  ];
}

const ORDER: readonly Glance["state"][] = [
  "failing",
  "not answering",
  "removed",
  "paused",
  "healthy",
  "disabled",
];

/** Since when it is in its state, as far as is known. */
export function stateSince({ state, health }: Glance): Instant | undefined {
  return state === "not answering" ? health.failuresSince : health.changedAt;
}

/** What needs a look first, then by id. */
export function worstFirst(a: Glance, b: Glance): number {
  return ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.id < b.id ? -1 : 1);
}

/** A table of subscriptions; the statistics of each are read for it. */
export async function subscriptionRows(
  glances: readonly Glance[],
  { reader, viewer }: { reader: OutboxReader; viewer: Viewer },
) {
  const days: Statistics[] = [];
  for (const { id } of glances) {
    days.push(await statisticsOf(reader, { span: "day", subscription: id, now: viewer.now }));
  }
  return (
    <Table
      label="Subscriptions"
      columns={["Subscription", "State", "Last day", "p95", "Last success", "Waiting"]}
    >
      {glances.map((glance, index) => (
        <SubscriptionRow glance={glance} day={days[index]!} viewer={viewer} />
      ))}
    </Table>
  );
}

function SubscriptionRow(
  { glance, day, viewer }: { glance: Glance; day: Statistics; viewer: Viewer },
) {
  const { id, description, state, health, backlog } = glance;
  const { now } = viewer;
  const since = stateSince(glance);
  return (
    <Row href={subscriptionPath(id)}>
      <Cell label="Subscription" kind="title">
        <a href={subscriptionPath(id)}>{visible(id)}</a>
        {description !== undefined && <div class="muted">{visible(description)}</div>}
      </Cell>
      <Cell label="State">
        <State state={state} />
        {since !== undefined && state !== "healthy" && (
          <div class="muted">
            <When at={since} now={now} />
          </div>
        )}
        {health.lastResult !== undefined && !isAnswering(health) && (
          <div class="muted">{visible(resultWords(health.lastResult, now))}</div>
        )}
      </Cell>
      <Cell label="Last day">
        <Trend statistics={day} />
      </Cell>
      <Cell label="p95" kind="number">{day.p95 === undefined ? "–" : length(day.p95)}</Cell>
      <Cell label="Last success">
        {health.lastSuccessAt === undefined
          ? "never"
          : <When at={health.lastSuccessAt} now={now} />}
      </Cell>
      <Cell label="Waiting" kind="number">
        {backlog === undefined ? "0" : (
          <>
            <a href={deliveriesPath({ subscription: id, state: "pending" })}>
              {count(backlog.pending)}
            </a>
            <div class="muted">
              due <When at={backlog.dueAt} now={now} />
            </div>
          </>
        )}
      </Cell>
    </Row>
  );
}
