import type { Health } from "../../domain/health.ts";
import type { Registry } from "../../ingest/registry.ts";
import type { Replay } from "../../outbox/outbox.ts";
import type { RememberedEntry } from "../../outbox/reader.ts";
import { type AttentionPorts, concernsOf, isFailing, NeedsAttention } from "./attention.tsx";
import { Chart, chartChoice } from "./chart.tsx";
import { type Figure, Figures } from "./figures.tsx";
import { renderPage } from "./frame.tsx";
import { Empty, History, When } from "./parts.tsx";
import { bulkPath, deliveriesPath, HISTORY, OVERVIEW, SUBSCRIPTIONS, withQuery } from "./paths.ts";
import { type SpanName, SPANS, type Statistics, statisticsOf, total } from "./statistics.ts";
import { type Glance, glancesAt, subscriptionRows, worstFirst } from "./subscription_rows.tsx";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { count, counted, length, percent, visible } from "./words.ts";
import type { Context } from "hono";

export interface OverviewPorts extends AttentionPorts {
  readonly registry: Registry;
  readonly health: (subscription: string) => Health;
}

/** More would not be read; there is a page for all of them. */
const ROWS = 20;
/** So many of the latest actions may hold the last reload. */
const LOOKED_BACK = 200;
const LATEST = 8;
const REFRESH_S = 10;
const DRAWN = Object.keys(SPANS) as SpanName[];

/** Numbers, then what is wrong, then the lists. */
export async function overviewPage(ports: OverviewPorts, context: Context<DashboardEnv>) {
  const { reader, registry, health } = ports;
  const viewer = context.get("viewer");
  const choice = chartChoice(context.req.query(), DRAWN);
  const spans = new Map<SpanName, Statistics>();
  for (const span of new Set<SpanName>(["hour", "day", choice.span])) {
    spans.set(span, await statisticsOf(reader, { span, now: viewer.now }));
  }
  const hour = spans.get("hour")!, day = spans.get("day")!;
  const backlog = await reader.backlog();
  const glances = glancesAt(registry.all, { health, backlog }).sort(worstFirst);
  const rows = await subscriptionRows(glances.slice(0, ROWS), { reader, viewer });
  const { items: history } = await reader.history({ limit: LOOKED_BACK });
  const { items: [any] } = await reader.deliveries({ limit: 1 });
  return renderPage({
    title: "Overview",
    section: OVERVIEW,
    viewer,
    refreshS: REFRESH_S,
    children: (
      <div id="overview" data-swap>
        <h1 class="unseen">Overview</h1>
        <Figures figures={figuresOf({ glances, hour, day, now: viewer.now })} />
        <NeedsAttention concerns={await concernsOf(ports, { glances, day, history, viewer })} />
        {!any && <FirstSteps glances={glances} />}
        <Chart
          statistics={spans.get(choice.span)!}
          choice={choice}
          spans={DRAWN}
          path={OVERVIEW}
        />
        {glances.length > 0 && <Subscriptions glances={glances} rows={rows} />}
        <ReplaysUnderWay replays={await reader.openReplays()} viewer={viewer} />
        <RecentActions history={history.slice(0, LATEST)} viewer={viewer} />
      </div>
    ),
  });
}

/** The four numbers that an operator looks for first. */
function figuresOf(
  { glances, hour, day, now }: {
    glances: readonly Glance[];
    hour: Statistics;
    day: Statistics;
    now: number;
  },
): Figure[] {
  const waiting = glances.flatMap(({ backlog }) => backlog ?? []);
  const pending = waiting.reduce((sum, backlog) => sum + backlog.pending, 0);
  const oldestAt = waiting.reduce((first, { dueAt }) => Math.min(first, dueAt), Infinity);
  const failing = glances.filter(isFailing).length;
  // The last bar is not over yet.
  const lastBar = hour.bars.at(-2)!;
  const perMinute = Math.round(total(lastBar) * 60_000 / hour.barMs);
  return [
    {
      value: percent(day.firstSuccesses, day.firstAttempts) ?? "–",
      what: "delivered on the first try, last 24 h",
      href: withQuery(OVERVIEW, { span: "day" }),
    },
    {
      value: `${count(perMinute)}/min`,
      what: "attempts now",
      href: withQuery(OVERVIEW, { span: "hour" }),
    },
    {
      value: count(pending),
      what: pending === 0
        ? "waiting"
        : oldestAt <= now
        ? `waiting, the oldest due for ${length(now - oldestAt)}`
        : `waiting, the next due in ${length(oldestAt - now)}`,
      href: deliveriesPath({ state: "pending" }),
    },
    {
      value: `${count(failing)} of ${count(glances.length)}`,
      what: glances.length === 1 ? "receiver needs attention" : "receivers need attention",
      href: withQuery(SUBSCRIPTIONS, { state: "attention" }),
      isBad: failing > 0,
    },
  ];
}

/** What to do where nothing was delivered yet. */
function FirstSteps({ glances }: { glances: readonly Glance[] }) {
  const [first] = glances;
  if (first === undefined) {
    return (
      <Empty command="bellhook init">
        The config has no subscriptions: nobody gets anything yet. Begin one, then reload.
      </Empty>
    );
  }
  return (
    <Empty command={`bellhook test ${first.id}`}>
      Nothing has been delivered yet. Send a test event:
    </Empty>
  );
}

function Subscriptions({ glances, rows }: { glances: readonly Glance[]; rows: unknown }) {
  return (
    <section aria-labelledby="subscriptions">
      <h2 id="subscriptions">Subscriptions</h2>
      {rows}
      {glances.length > ROWS && (
        <p>
          <a href={SUBSCRIPTIONS}>All {count(glances.length)} subscriptions</a>
        </p>
      )}
    </section>
  );
}

function ReplaysUnderWay({ replays, viewer }: { replays: readonly Replay[]; viewer: Viewer }) {
  if (replays.length === 0) return null;
  return (
    <section aria-labelledby="replays">
      <h2 id="replays">Replays under way</h2>
      <ul>
        {replays.map(({ id, done, total, by, createdAt }) => (
          <li>
            <a href={bulkPath(id)}>{count(done)} of {counted(total, "delivery", "deliveries")}</a>,
            begun <When at={createdAt} now={viewer.now} /> by {visible(by)}
          </li>
        ))}
      </ul>
    </section>
  );
}

function RecentActions(
  { history, viewer }: { history: readonly RememberedEntry[]; viewer: Viewer },
) {
  if (history.length === 0) return null;
  return (
    <section aria-labelledby="actions">
      <h2 id="actions">Recent actions</h2>
      <History entries={history} viewer={viewer} />
      <p>
        <a href={HISTORY}>All actions</a>
      </p>
    </section>
  );
}
