import { type Condition, conditionOf, type Health } from "../../domain/health.ts";
import { resultWords } from "../../domain/result_words.ts";
import type { Instant } from "../../domain/instant.ts";
import { isChannelId } from "../../domain/notice.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Backlog, OutboxReader } from "../../outbox/reader.ts";
import { Cell, Row, State, Table, When } from "./parts.tsx";
import { deliveriesPath, subscriptionPath } from "./paths.ts";
import { type Statistics, statisticsOf } from "./statistics.ts";
import { Trend } from "./trend.tsx";
import type { Viewer } from "./viewer.ts";
import { count, length, percent, visible } from "./words.ts";

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
      id="subscription-rows"
      kind="dense"
      columns={[
        "Subscription",
        "State",
        "Last 24 h",
        "First try",
        "p95",
        "Waiting",
        "Last answer",
        "At",
      ]}
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
  const { id, description, health, backlog } = glance;
  const { lastResult } = health;
  const answer = lastResult === undefined ? "" : visible(resultWords(lastResult, viewer.now));
  return (
    <Row href={subscriptionPath(id)}>
      <Cell label="Subscription" kind="title">
        <a href={subscriptionPath(id)} title={visible(id)}>{visible(id)}</a>
        {description !== undefined && (
          <span class="muted description" title={visible(description)}>{visible(description)}</span>
        )}
      </Cell>
      <Cell label="State" kind="aside">
        <State state={glance.state} /> <StateSince glance={glance} viewer={viewer} />
      </Cell>
      <Cell label="Last 24 h">
        <Trend statistics={day} />
      </Cell>
      <Cell label="First try" kind="number">
        {percent(day.firstSuccesses, day.firstAttempts) ?? "–"}
      </Cell>
      <Cell label="p95" kind="number">{day.p95 === undefined ? "–" : length(day.p95)}</Cell>
      <Cell label="Waiting" kind="number">
        {backlog === undefined
          ? "0"
          : (
            <a href={deliveriesPath({ subscription: id, state: "pending" })}>
              {count(backlog.pending)}
            </a>
          )}
      </Cell>
      <Cell label="Last answer" kind="detail">
        <span title={answer}>{answer}</span>
      </Cell>
      <Cell label="At" kind="when">
        {lastResult === undefined ? "never" : <When at={lastResult.at} now={viewer.now} />}
      </Cell>
    </Row>
  );
}

/** Since when it is not as it should be. */
function StateSince({ glance, viewer }: { glance: Glance; viewer: Viewer }) {
  const since = stateSince(glance);
  if (since === undefined || glance.state === "healthy") return null;
  return (
    <span class="muted">
      <When at={since} now={viewer.now} />
    </span>
  );
}
