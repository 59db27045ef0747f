import type { Child } from "hono/jsx";
import { diagnoseResult } from "../../domain/diagnosis.ts";
import type { Health } from "../../domain/health.ts";
import { resultWords } from "../../domain/result_words.ts";
import { type UnmatchedPattern, unmatchedText } from "../../ingest/unmatched_patterns.ts";
import {
  type LongJournal,
  type OutboxReader,
  readersText,
  type RememberedEntry,
} from "../../outbox/reader.ts";
import { whyFailing } from "./failing.ts";
import { ActionButton, When } from "./parts.tsx";
import {
  CONFIG,
  deliveriesPath,
  deliveryPath,
  OVERVIEW,
  subscriptionPath,
  SUBSCRIPTIONS,
  withQuery,
} from "./paths.ts";
import type { Statistics } from "./statistics.ts";
import { type Glance, stateSince } from "./subscription_rows.tsx";
import type { Viewer } from "./viewer.ts";
import { count, counted, length, visible } from "./words.ts";

export interface AttentionPorts {
  readonly reader: OutboxReader;
  readonly notReadyBecause: () => Promise<string | undefined>;
  readonly pinnedJournal: () => LongJournal | undefined;
  readonly unmatched: () => Promise<readonly UnmatchedPattern[]>;
}

/** What the page has read already. */
interface Seen {
  readonly glances: readonly Glance[];
  readonly day: Statistics;
  readonly history: readonly RememberedEntry[];
  readonly viewer: Viewer;
}

/** So many failing subscriptions are explained. */
const EXPLAINED = 8;
/** What is due this long ago should have gone out. */
const LATE_MS = 60_000;

/** Something that an operator should look at. */
export interface Concern {
  /** It waits for an operator, rather than fails. */
  readonly isHeld?: boolean;
  readonly title: Child;
  readonly detail: Child;
  /** What an operator can do about it at once. */
  readonly action?: Child;
}

export function NeedsAttention({ concerns }: { concerns: readonly Concern[] }) {
  if (concerns.length === 0) return <p class="all-well">✓ Nothing is wrong right now.</p>;
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">Needs attention</h2>
      <ul class="concerns">
        {concerns.map(({ title, detail, action, isHeld }) => (
          <li class={isHeld ? "is-held" : undefined}>
            <div>
              <strong>{title}</strong> <span>{detail}</span>
            </div>
            {action}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** All of it, the worst first. */
export async function concernsOf(ports: AttentionPorts, seen: Seen): Promise<Concern[]> {
  const concerns = [
    ...await daemonConcerns(ports, seen),
    ...await failingConcerns(ports, seen),
  ];
  for (const glance of seen.glances) {
    if (concerns.length >= 3 * EXPLAINED) break;
    const concern = waitingConcern(glance, seen.viewer);
    if (concern) concerns.push(concern);
  }
  return [...concerns, ...await patternConcerns(ports), ...failedConcerns(seen)];
}

/** What concerns the daemon itself. */
async function daemonConcerns(
  { notReadyBecause, pinnedJournal }: AttentionPorts,
  { history }: Seen,
): Promise<Concern[]> {
  const concerns: Concern[] = [];
  const notReady = await notReadyBecause();
  if (notReady !== undefined) {
    concerns.push({ title: "No events are accepted", detail: visible(notReady) });
  }
  const journal = pinnedJournal();
  if (journal !== undefined) {
    const readers = readersText(journal);
    concerns.push({
      title: `The journal has ${Math.round(journal.bytes / 1024 ** 2)} MiB and can't be emptied`,
      detail: `${visible(readers)} keeps the database open: end it, or the disk fills up`,
    });
  }
  const lastLoad = history.find(({ kind }) => kind === "reloaded" || kind === "rejected");
  if (lastLoad?.kind === "rejected") {
    concerns.push({
      title: "The config file was rejected; the one before stays in force",
      detail: visible(lastLoad.cause),
      action: <a href={CONFIG}>All problems</a>,
    });
  }
  return concerns;
}

async function failingConcerns({ reader }: AttentionPorts, { glances, viewer }: Seen) {
  const concerns: Concern[] = [];
  const failing = glances.filter(isFailing);
  for (const glance of failing.slice(0, EXPLAINED)) {
    concerns.push(await failingConcern(glance, { reader, viewer }));
  }
  if (failing.length > EXPLAINED) {
    concerns.push({
      title: `${counted(failing.length - EXPLAINED, "more subscription")} failing or not answering`,
      detail: "",
      action: <a href={withQuery(SUBSCRIPTIONS, { state: "attention" })}>All of them</a>,
    });
  }
  return concerns;
}

async function patternConcerns({ unmatched }: AttentionPorts): Promise<Concern[]> {
  const patterns = await unmatched();
  const concerns = patterns.slice(0, EXPLAINED).map((pattern): Concern => {
    const { message, fix } = unmatchedText(pattern);
    return { isHeld: true, title: visible(message), detail: visible(fix) };
  });
  if (patterns.length > EXPLAINED) {
    concerns.push({
      isHeld: true,
      title: `${counted(patterns.length - EXPLAINED, "more pattern")} matched nothing`,
      detail: "bellhook check names them all",
    });
  }
  return concerns;
}

function failedConcerns({ day }: Seen): Concern[] {
  if (day.failed === 0) return [];
  return [{
    title: `${counted(day.failed, "delivery", "deliveries")} failed for good in the last day`,
    detail: "send them again once their receivers work",
    action: <a href={deliveriesPath({ state: "failed" })}>Look at them</a>,
  }];
}

/** Whether a subscription is one of those whose receivers need attention. */
export function isFailing({ state }: Glance): boolean {
  return state === "failing" || state === "not answering";
}

async function failingConcern(
  glance: Glance,
  { reader, viewer }: { reader: OutboxReader; viewer: Viewer },
): Promise<Concern> {
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
        )}. {visible(meaning)}
      </>
    ),
    action: (
      <div class="row">
        {failing && <a href={deliveryPath(failing.delivery)}>The delivery</a>}
        <ActionButton
          viewer={viewer}
          action={subscriptionPath(id, "pause")}
          label="Pause"
          kind="quiet"
          back={OVERVIEW}
        />
      </div>
    ),
  };
}

/** What is wrong with what waits; undefined where nothing is. */
function waitingConcern(
  { id, state, health, backlog }: Glance,
  viewer: Viewer,
): Concern | undefined {
  const { now } = viewer;
  const link = <a href={subscriptionPath(id)}>{visible(id)}</a>;
  const waiting = counted(backlog?.pending ?? 0, "delivery", "deliveries");
  if (state === "paused") {
    return {
      isHeld: true,
      title: <>{link} is paused</>,
      detail: `${visible(health.pausedReason ?? "")}; ${waiting} held until it is resumed`,
      action: (
        <ActionButton
          viewer={viewer}
          action={subscriptionPath(id, "resume")}
          label="Resume"
          kind="quiet"
          back={OVERVIEW}
        />
      ),
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
