// deno-lint-ignore-file jsx-key
import type { Child } from "hono/jsx";
import { diagnoseResult } from "../../domain/diagnosis.ts";
import type { Health } from "../../domain/health.ts";
import { resultWords } from "../../domain/result_words.ts";
import type { Registry } from "../../ingest/registry.ts";
import { type UnmatchedPattern, unmatchedText } from "../../ingest/unmatched_patterns.ts";
import {
  type LongJournal,
  type OutboxReader,
  readersText,
  type RememberedEntry,
} from "../../outbox/outbox.ts";
import { StatisticsCard } from "./charts.tsx";
import { whyFailing } from "./failing.ts";
import { renderPage } from "./frame.tsx";
import { Empty, Facts, History, When } from "./parts.tsx";
import {
  CONFIG,
  deliveriesPath,
  deliveryPath,
  HISTORY,
  OVERVIEW,
  subscriptionPath,
  SUBSCRIPTIONS,
} from "./paths.ts";
import { type SpanName, SPANS, type Statistics, statisticsOf } from "./statistics.ts";
import {
  type Glance,
  glancesAt,
  stateSince,
  subscriptionRows,
  worstFirst,
} from "./subscription_rows.tsx";
import type { Viewer } from "./viewer.ts";
import { count, counted, length, visible } from "./words.ts";

export interface OverviewPorts {
  readonly reader: OutboxReader;
  readonly registry: Registry;
  readonly health: (subscription: string) => Health;
  readonly notReadyBecause: () => Promise<string | undefined>;
  readonly pinnedJournal: () => LongJournal | undefined;
  readonly unmatched: () => Promise<readonly UnmatchedPattern[]>;
}

/** More would not be read; there is a page for all of them. */
const ROWS = 50;
/** So many of the latest deeds may hold the last reload. */
const LOOKED_BACK = 200;
/** So many failing subscriptions are looked into. */
const EXPLAINED = 8;
/** What is due this long ago should have gone out. */
const LATE_MS = 60_000;
const REFRESH_S = 10;

/** What is wrong now, then how it has been going. */
export async function overviewPage(ports: OverviewPorts, viewer: Viewer) {
  const { reader, registry, health } = ports;
  const spans = Object.keys(SPANS) as SpanName[];
  const backlog = await reader.backlog();
  const glances = glancesAt(registry.all, { health, backlog }).sort(worstFirst);
  const statistics: Statistics[] = [];
  for (const span of spans) {
    statistics.push(await statisticsOf(reader, { span, now: viewer.now }));
  }
  const shown = glances.slice(0, ROWS);
  const rows = await subscriptionRows(shown, { reader, viewer });
  const { items: history } = await reader.history({ limit: LOOKED_BACK });
  const replays = await reader.openReplays();
  return renderPage({
    title: "Overview",
    section: OVERVIEW,
    viewer,
    refreshS: REFRESH_S,
    children: (
      <div id="overview" data-swap>
        <h1>Overview</h1>
        <Wrongs wrongs={await wrongsOf(ports, { glances, statistics, history, viewer })} />
        {registry.size === 0 && glances.length === 0 && (
          <Empty command="bellhook init">
            The config has no subscriptions: nobody gets anything yet. Begin one, then reload.
          </Empty>
        )}
        <Waiting glances={glances} viewer={viewer} />
        <h2>How it has been going</h2>
        <div class="cards">
          {statistics.map((one) => <StatisticsCard statistics={one} />)}
        </div>
        {glances.length > 0 && (
          <section aria-labelledby="subscriptions">
            <h2 id="subscriptions">Subscriptions</h2>
            {rows}
            {glances.length > ROWS && (
              <p>
                <a href={SUBSCRIPTIONS}>All {count(glances.length)} subscriptions</a>
              </p>
            )}
          </section>
        )}
        {replays.length > 0 && (
          <section aria-labelledby="replays">
            <h2 id="replays">Replays under way</h2>
            <ul>
              {replays.map(({ id, done, total, by, createdAt }) => (
                <li>
                  <code>{id}</code>: {count(done)} of {count(total)}, begun{" "}
                  <When at={createdAt} now={viewer.now} /> by {visible(by)}
                </li>
              ))}
            </ul>
          </section>
        )}
        {history.length > 0 && (
          <section aria-labelledby="deeds">
            <h2 id="deeds">What happened</h2>
            <History entries={history.slice(0, 8)} viewer={viewer} />
            <p>
              <a href={HISTORY}>All that happened</a>
            </p>
          </section>
        )}
      </div>
    ),
  });
}

function Waiting({ glances, viewer }: { glances: readonly Glance[]; viewer: Viewer }) {
  const waiting = glances.flatMap(({ backlog }) => backlog ?? []);
  const pending = waiting.reduce((sum, backlog) => sum + backlog.pending, 0);
  const oldest = waiting.reduce((first, { dueAt }) => Math.min(first, dueAt), Infinity);
  return (
    <Facts
      facts={[
        [
          "Backlog",
          pending === 0 ? "nothing waits" : (
            <a href={deliveriesPath({ state: "pending" })}>
              {counted(pending, "delivery", "deliveries")}
            </a>
          ),
        ],
        ["Oldest due", oldest === Infinity ? "–" : <When at={oldest} now={viewer.now} />],
        ["Subscriptions", count(glances.length)],
      ]}
    />
  );
}

/** Something that an operator should look at. */
interface Wrong {
  /** It waits for an operator, rather than fails. */
  readonly isHeld?: boolean;
  readonly title: Child;
  readonly detail: Child;
}

function Wrongs({ wrongs }: { wrongs: readonly Wrong[] }) {
  if (wrongs.length === 0) return <p class="all-well">✓ Nothing is wrong right now.</p>;
  return (
    <section aria-labelledby="wrong">
      <h2 id="wrong">Wrong right now</h2>
      <ul class="wrongs">
        {wrongs.map(({ title, detail, isHeld }) => (
          <li class={isHeld ? "is-held" : undefined}>
            <strong>{title}</strong>
            <p>{detail}</p>
          </li>
        ))}
      </ul>
    </section>
  );
}

async function wrongsOf(
  { reader, notReadyBecause, pinnedJournal, unmatched }: OverviewPorts,
  { glances, statistics, history, viewer }: {
    glances: readonly Glance[];
    statistics: readonly Statistics[];
    history: readonly RememberedEntry[];
    viewer: Viewer;
  },
): Promise<Wrong[]> {
  const wrongs: Wrong[] = [];
  const notReady = await notReadyBecause();
  if (notReady !== undefined) {
    wrongs.push({ title: "No events are taken", detail: visible(notReady) });
  }
  const journal = pinnedJournal();
  if (journal !== undefined) {
    const readers = readersText(journal);
    wrongs.push({
      title: `The journal has ${Math.round(journal.bytes / 1024 ** 2)} MiB and can't be emptied`,
      detail: `${visible(readers)} keeps reading in the database: end it, or the disk fills up`,
    });
  }
  const lastLoad = history.find(({ kind }) => kind === "reloaded" || kind === "rejected");
  if (lastLoad?.kind === "rejected") {
    wrongs.push({
      title: "The config file was rejected; the one before stays in force",
      detail: (
        <>
          {visible(lastLoad.cause)} (<a href={CONFIG}>all problems</a>)
        </>
      ),
    });
  }
  const failing = glances.filter(({ state }) => state === "failing" || state === "not answering");
  for (const glance of failing.slice(0, EXPLAINED)) {
    wrongs.push(await failingWrong(glance, { reader, viewer }));
  }
  if (failing.length > EXPLAINED) {
    wrongs.push({
      title: `${counted(failing.length - EXPLAINED, "more subscription")} failing or not answering`,
      detail: <a href={SUBSCRIPTIONS}>all subscriptions, the failing ones first</a>,
    });
  }
  for (const glance of glances) {
    if (wrongs.length >= 3 * EXPLAINED) break;
    const wrong = waitingWrong(glance, viewer);
    if (wrong) wrongs.push(wrong);
  }
  const patterns = await unmatched();
  for (const pattern of patterns.slice(0, EXPLAINED)) {
    const { message, fix } = unmatchedText(pattern);
    wrongs.push({ isHeld: true, title: visible(message), detail: visible(fix) });
  }
  if (patterns.length > EXPLAINED) {
    wrongs.push({
      isHeld: true,
      title: `${counted(patterns.length - EXPLAINED, "more pattern")} matched nothing`,
      detail: "bellhook check names them all",
    });
  }
  const day = statistics.find(({ name }) => name === "day")!;
  if (day.failed > 0) {
    wrongs.push({
      title: `${counted(day.failed, "delivery", "deliveries")} failed for good in the last day`,
      detail: (
        <a href={deliveriesPath({ state: "failed" })}>
          look at all that failed for good, and send them again once their receivers are well
        </a>
      ),
    });
  }
  return wrongs;
}

async function failingWrong(
  glance: Glance,
  { reader, viewer }: { reader: OutboxReader; viewer: Viewer },
): Promise<Wrong> {
  const { id, state, health, backlog } = glance;
  const since = stateSince(glance);
  const failing = state === "failing" ? await whyFailing(reader, id) : undefined;
  const { lastResult } = health;
  const meaning = failing?.meaning ??
    (health.consecutiveFailures > 0 && lastResult ? diagnoseResult(lastResult) : "");
  return {
    title: (
      <>
        <a href={subscriptionPath(id)}>{visible(id)}</a> is {state} {since !== undefined && (
          <>
            since <When at={since} now={viewer.now} />
          </>
        )}
      </>
    ),
    detail: (
      <>
        {counted(health.consecutiveFailures, "failed attempt")} in a row
        {lastResult && <>, last answer: {visible(resultWords(lastResult, viewer.now))}</>}
        {backlog && (
          <>
            ,{" "}
            <a href={deliveriesPath({ subscription: id, state: "pending" })}>
              {count(backlog.pending)} waiting
            </a>
          </>
        )}. {visible(meaning)} {failing && (
          <>
            (<a href={deliveryPath(failing.delivery)}>the delivery</a>)
          </>
        )}
      </>
    ),
  };
}

/** What is wrong with what waits; undefined where nothing is. */
function waitingWrong({ id, state, health, backlog }: Glance, { now }: Viewer): Wrong | undefined {
  const link = <a href={subscriptionPath(id)}>{visible(id)}</a>;
  const waiting = counted(backlog?.pending ?? 0, "delivery", "deliveries");
  if (state === "paused") {
    return {
      isHeld: true,
      title: <>{link} is paused</>,
      detail: `${visible(health.pausedReason ?? "")}; ${waiting} held until it is resumed`,
    };
  }
  if (!backlog) return undefined;
  if (state === "removed") {
    return {
      isHeld: true,
      title: <>{link} is no longer in the config</>,
      detail: (
        <>
          {waiting} held until it comes back, or you{" "}
          <a href={deliveriesPath({ subscription: id, state: "pending" })}>cancel them</a>
        </>
      ),
    };
  }
  if (state === "disabled") {
    return {
      isHeld: true,
      title: <>{link} is disabled</>,
      detail: `${waiting} held until the config enables it`,
    };
  }
  // Of one that fails, more is said than that it is late.
  if (state !== "healthy" || now - backlog.dueAt < LATE_MS) return undefined;
  const late = `${waiting}, the oldest due for ${length(now - backlog.dueAt)}`;
  if (answersWell(health)) {
    return {
      title: <>{link} is behind</>,
      detail: `${late}: its receiver is slower than its events come; look at its concurrency and ` +
        "rateLimit",
    };
  }
  const { lastResult } = health;
  return {
    title: <>{link} does not keep up</>,
    detail: `${late}; last answer: ${
      lastResult ? visible(resultWords(lastResult, now)) : "none yet"
    }`,
  };
}

/** A receiver that fails now and then is not just slow. */
function answersWell(health: Health): boolean {
  return health.lastSuccessAt !== undefined && health.consecutiveFailures === 0;
}
