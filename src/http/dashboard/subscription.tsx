// deno-lint-ignore-file jsx-key
import type { Context } from "hono";
import type { Config } from "../../config/config.ts";
import type { LookUpOrigins } from "../../config/origins.ts";
import type { NoticeChannel } from "../../domain/notice.ts";
import { conditionOf, type Health } from "../../domain/health.ts";
import { formatInstant, parseInstant } from "../../domain/instant.ts";
import { resultWords } from "../../domain/result_words.ts";
import type { Subscription } from "../../domain/subscription.ts";
import type { Replay } from "../../outbox/outbox.ts";
import type {
  AnswerCount,
  Backlog,
  Counts,
  OutboxReader,
  RememberedEntry,
} from "../../outbox/reader.ts";
import { type NearSubscriptionPorts, noSuchSubscription } from "../near_subscription.ts";
import { ProblemError } from "../problem.ts";
import { Chart, chartChoice } from "./chart.tsx";
import { forInput, inUtc } from "./form_instants.ts";
import { exampleEvent, exampleTypes, testType } from "./examples.ts";
import { whyFailing } from "./failing.ts";
import { renderPage } from "./frame.tsx";
import { Hidden } from "./hidden.tsx";
import { ActionButton, Cell, Facts, History, Notice, Row, Table, When } from "./parts.tsx";
import { deliveriesPath, HISTORY, subscriptionPath, SUBSCRIPTIONS, withQuery } from "./paths.ts";
import { prettyJson } from "./pretty_json.ts";
import { answersByStatus, type SpanName, statisticsOf } from "./statistics.ts";
import { SubscriptionSettings } from "./subscription_settings.tsx";
import { SubscriptionHeader, type SubscriptionStanding } from "./subscription_header.tsx";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { WhoIsTold } from "./who_is_told.tsx";
import { count, counted, percent, visible } from "./words.ts";

export interface SubscriptionPagePorts extends NearSubscriptionPorts {
  readonly reader: OutboxReader;
  readonly config: () => Config;
  readonly origins: LookUpOrigins;
  readonly health: (subscription: string) => Health;
  readonly channels: () => ReadonlyMap<string, NoticeChannel>;
}

/** Of one subscription there are no minutes. */
const DRAWN: readonly SpanName[] = ["day", "week", "month"];
/** So much of what happened is told. */
const LATEST = 12;

/** One subscription: how it is doing, what it goes by, and what can be done. */
export async function subscriptionPage(
  ports: SubscriptionPagePorts,
  context: Context<DashboardEnv>,
) {
  const { reader, registry, config } = ports;
  const viewer = context.get("viewer");
  const id = context.req.param("id") ?? "";
  const subscription = registry.find(id);
  const counts = (await reader.counts([id])).get(id) ?? NONE;
  const total = counts.pending + counts.delivered + counts.exhausted + counts.cancelled;
  if (!subscription && total === 0) {
    throw new ProblemError({
      status: 404,
      title: "No such subscription",
      detail: await noSuchSubscription(id, ports),
    });
  }
  const health = ports.health(id);
  const state = subscription ? conditionOf(health, subscription.enabled) : "removed";
  const backlog = await reader.backlogOf(id);
  const choice = chartChoice(context.req.query(), DRAWN);
  const statistics = await statisticsOf(reader, {
    span: choice.span,
    subscription: id,
    now: viewer.now,
  });
  const { items: history } = await reader.history({ subscription: id, limit: LATEST });
  const replays = await reader.openReplays();
  const failing = state === "failing" ? await whyFailing(reader, id) : undefined;
  const standing: SubscriptionStanding = { id, subscription, state, health, backlog, failing };
  const reload = await lastReload(reader);
  return renderPage({
    title: id,
    section: SUBSCRIPTIONS,
    viewer,
    children: (
      <>
        <p class="crumbs">
          <a href={SUBSCRIPTIONS}>Subscriptions</a>
        </p>
        <h1>{visible(id)}</h1>
        {subscription?.description !== undefined && <p>{visible(subscription.description)}</p>}
        <Notice text={doneText(context.req.query())} />
        <SubscriptionHeader standing={standing} viewer={viewer} />
        <HealthFacts counts={counts} health={health} backlog={backlog} id={id} viewer={viewer} />
        <Chart
          statistics={statistics}
          choice={choice}
          spans={DRAWN}
          path={subscriptionPath(id)}
        />
        <h2>Answers, {statistics.title.toLowerCase()}</h2>
        <Answers answers={statistics.answers} id={id} />
        {subscription && (
          <>
            <h2>Send something</h2>
            <div class="cards">
              <TestForm
                subscription={subscription}
                config={config()}
                viewer={viewer}
                wanted={context.req.query("example")}
              />
              <ReplayForm
                id={id}
                viewer={viewer}
                underWay={replays.filter((replay) => replay.filter.subscription === id)}
                counted={await countFailed(reader, id, context.req.query("failedSince"))}
              />
            </div>
          </>
        )}
        {subscription && (
          <WhoIsTold channels={ports.channels().values()} contact={subscription.contact} />
        )}
        <h2>What happened</h2>
        <LastReload reload={reload} viewer={viewer} />
        {history.length === 0
          ? <p class="muted">Nothing is on record.</p>
          : <History entries={history} viewer={viewer} of="subscription" />}
        {history.length === LATEST && (
          <p>
            <a href={withQuery(HISTORY, { subscription: id })}>All that happened to it</a>
          </p>
        )}
        {subscription && (
          <SubscriptionSettings
            subscription={subscription}
            origins={await ports.origins({ id, profile: subscription.profile.name })}
            path={config().path}
          />
        )}
      </>
    ),
  });
}

const NONE: Counts = { pending: 0, delivered: 0, exhausted: 0, cancelled: 0 };

function doneText(query: Readonly<Record<string, string>>): string | undefined {
  switch (query.done) {
    case "paused":
      return "It is paused: its deliveries wait until it is resumed.";
    case "resumed":
      return "It is resumed: what waited goes out now.";
    case "replaying":
      return "The failed deliveries are being sent again, at a pace; below stands how far it is.";
    default:
      return undefined;
  }
}

/** So many of the latest actions may hold the last reload. */
const LOOKED_BACK = 200;

async function lastReload(reader: OutboxReader): Promise<RememberedEntry | undefined> {
  const { items } = await reader.history({ limit: LOOKED_BACK });
  return items.find(({ kind }) => kind === "reloaded");
}

function LastReload(
  { reload, viewer }: { reload: RememberedEntry | undefined; viewer: Viewer },
) {
  if (!reload) return null;
  const { at, cause, by } = reload;
  return (
    <p class="muted">
      Last config change: <When at={at} now={viewer.now} />
      {by !== undefined && ` by ${visible(by)}`}: {visible(cause)}
    </p>
  );
}

function HealthFacts(
  { counts, health, backlog, id, viewer }: {
    counts: Counts;
    health: Health;
    backlog: Backlog | undefined;
    id: string;
    viewer: Viewer;
  },
) {
  const { now } = viewer;
  const link = (state: keyof Counts) =>
    counts[state] === 0
      ? "0"
      : <a href={deliveriesPath({ subscription: id, state })}>{count(counts[state])}</a>;
  return (
    <Facts
      facts={[
        [
          "Failing since",
          health.failingSince === undefined
            ? undefined
            : <When at={health.failingSince} now={now} />,
        ],
        [
          "Last answer",
          health.lastResult && (
            <>
              {visible(resultWords(health.lastResult, now))},{" "}
              <When at={health.lastResult.at} now={now} />
            </>
          ),
        ],
        [
          "Last success",
          health.lastSuccessAt === undefined
            ? "never"
            : <When at={health.lastSuccessAt} now={now} />,
        ],
        ["Failures in a row", count(health.consecutiveFailures)],
        ["Pending", link("pending")],
        ["First due", backlog && <When at={backlog.dueAt} now={now} />],
        ["Delivered", link("delivered")],
        ["Exhausted", link("exhausted")],
        ["Cancelled", link("cancelled")],
      ]}
    />
  );
}

function Answers({ answers, id }: { answers: readonly AnswerCount[]; id: string }) {
  const byStatus = answersByStatus(answers);
  if (byStatus.length === 0) return <p class="muted">Nothing was attempted.</p>;
  const total = byStatus.reduce((sum, [, n]) => sum + n, 0);
  return (
    <Table label="Answers by status" columns={["Status", "Attempts", "Share"]}>
      {byStatus.map(([status, n]) => (
        <Row>
          <Cell label="Status">
            {status === undefined
              ? "no answer"
              : <a href={deliveriesPath({ subscription: id, status: String(status) })}>{status}</a>}
          </Cell>
          <Cell label="Attempts" kind="number">{count(n)}</Cell>
          <Cell label="Share" kind="meter">
            {percent(n, total)}
            <svg viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
              <rect
                class={isFine(status) ? "is-delivered" : "is-failed"}
                width={Math.max(1, 100 * n / total).toFixed(1)}
                height="8"
              />
            </svg>
          </Cell>
        </Row>
      ))}
    </Table>
  );
}

function isFine(status: number | undefined): boolean {
  return status !== undefined && status >= 200 && status < 300;
}

function TestForm(
  { subscription, config, viewer, wanted }: {
    subscription: Subscription;
    config: Config;
    viewer: Viewer;
    /** The type whose example is asked for. */
    wanted: string | undefined;
  },
) {
  const { id } = subscription;
  const { eventTypes } = config;
  const types = exampleTypes(subscription, eventTypes);
  const type = types.find((one) => one === wanted) ?? testType(subscription, eventTypes);
  const { data } = exampleEvent(subscription, type, { eventTypes, at: viewer.now });
  return (
    <div class="card" id="test">
      <h3>A test event</h3>
      <p class="muted">
        To this subscription alone, also while it is paused or disabled. It goes the way of every
        other delivery.
      </p>
      {types.length > 1 && (
        <form class="row" method="get" action={`${subscriptionPath(id)}#test`}>
          <label>
            Type
            <select name="example">
              {types.map((one) => <option value={one} selected={one === type}>{one}</option>)}
            </select>
          </label>
          <button type="submit" class="quiet">Show its example</button>
        </form>
      )}
      <form method="post" action={subscriptionPath(id, "test")}>
        <Hidden viewer={viewer} back={subscriptionPath(id)} />
        <input type="hidden" name="type" value={type} />
        <label>
          Data, as JSON; the example where it is left empty
          <textarea name="data" rows={7} spellcheck={false}>{prettyJson(data) ?? data}</textarea>
        </label>
        <button type="submit">Send {visible(type)}</button>
      </form>
    </div>
  );
}

interface CountedReplay {
  readonly since: string;
  readonly count: number;
}

function ReplayForm(
  { id, viewer, underWay, counted: found }: {
    id: string;
    viewer: Viewer;
    underWay: readonly Replay[];
    counted: CountedReplay | undefined;
  },
) {
  const back = subscriptionPath(id);
  const dayAgo = formatInstant(viewer.now - viewer.now % 60_000 - 86_400_000);
  return (
    <div class="card" id="replay">
      <h3>Replay what failed</h3>
      <p class="muted">Sends deliveries that failed for good again, those created since then.</p>
      <form class="row" method="get" action={`${back}#replay`}>
        <label>
          Since
          <input
            name="failedSince"
            type="datetime-local"
            step="1"
            value={forInput(found?.since ?? dayAgo)}
          />
        </label>
        <button type="submit" class="quiet">Count them</button>
      </form>
      {found && (
        found.count === 0 ? <p>None failed since then.</p> : (
          <ActionButton
            viewer={viewer}
            action={subscriptionPath(id, "replay")}
            label={`Send ${counted(found.count, "delivery", "deliveries")} again`}
            back={back}
          >
            <input type="hidden" name="since" value={found.since} />
          </ActionButton>
        )
      )}
      {underWay.map(({ done, total, by, createdAt }) => (
        <p>
          Under way: {count(done)} of {count(total)} are sent, begun{" "}
          <When at={createdAt} now={viewer.now} /> by {visible(by)}
        </p>
      ))}
    </div>
  );
}

async function countFailed(
  reader: OutboxReader,
  subscription: string,
  asked: string | undefined,
): Promise<CountedReplay | undefined> {
  const since = parseInstant(inUtc(asked ?? ""));
  if (since === undefined) return undefined;
  const filter = {
    subscription,
    state: "failed",
    since,
    until: Number.MAX_SAFE_INTEGER,
  } as const;
  return { since: formatInstant(since), count: await reader.countReplay(filter) };
}
