import type { Context } from "hono";
import { formatDuration } from "../../domain/duration.ts";
import { formatInstant, parseInstant } from "../../domain/instant.ts";
import type { Replay, ReplayFilter } from "../../outbox/outbox.ts";
import type { OutboxReader } from "../../outbox/reader.ts";
import { actorOf } from "../access.ts";
import type { Operations } from "../operations.ts";
import { ProblemError } from "../problem.ts";
import { replayRequest } from "../schemas.ts";
import { renderPage } from "./frame.tsx";
import { ActionButton, Empty, When } from "./parts.tsx";
import { BULK, bulkPath, DELIVERIES, deliveriesPath, withQuery } from "./paths.ts";
import type { DashboardEnv, Viewer } from "./viewer.ts";
import { count, counted, visible } from "./words.ts";

interface BulkPorts {
  readonly reader: OutboxReader;
  readonly operations: Operations;
}

/** The filters of a list that all deliveries can be acted on by. */
const FILTERS = ["state", "subscription", "type", "since", "until"] as const;

type Asked = Readonly<Record<string, string>>;

/** Where all that a list shows can be acted on; undefined where it is filtered by something else. */
export function bulkOf(asked: Asked): string | undefined {
  const { cursor: _, limit: __, ...filters } = asked;
  const isKnown = Object.keys(filters).every((name) => FILTERS.some((known) => known === name));
  return isKnown && filters.state !== undefined ? withQuery(BULK, filters) : undefined;
}

/** How many deliveries fit, and what can be done to all of them. */
export async function bulkPage({ reader }: BulkPorts, context: Context<DashboardEnv>) {
  const viewer = context.get("viewer");
  const asked = context.req.query();
  const filter = filterOf(asked, viewer);
  const found = await reader.countReplay(filter);
  const fields = { ...pick(asked), until: formatInstant(filter.until) };
  return renderPage({
    title: "All that match",
    section: DELIVERIES,
    viewer,
    children: (
      <>
        <p class="crumbs">
          <a href={deliveriesPath(pick(asked))}>Deliveries</a>
        </p>
        <h1>{counted(found, "delivery matches", "deliveries match")}</h1>
        <p>{visible(wordsOf(asked))}</p>
        {found === 0 ? <Empty>There is nothing to do.</Empty> : (
          <div class="row">
            <ActionButton
              viewer={viewer}
              action={BULK}
              label={filter.state === "pending"
                ? `Retry all ${count(found)} now`
                : `Send all ${count(found)} again`}
            >
              <Fields fields={fields} />
            </ActionButton>
            {filter.state === "pending" && (
              <ActionButton
                viewer={viewer}
                action={BULK}
                label={`Cancel all ${count(found)}`}
                kind="danger"
                asks={`Cancel ${counted(found, "delivery", "deliveries")} for good?`}
              >
                <Fields fields={{ ...fields, action: "cancel" }} />
              </ActionButton>
            )}
          </div>
        )}
      </>
    ),
  });
}

function Fields({ fields }: { fields: Asked }) {
  return (
    <>
      {Object.entries(fields).map(([name, value]) => (
        <input type="hidden" name={name} value={value} />
      ))}
    </>
  );
}

/** Begins the job, and shows how far it is. */
export async function startBulk({ operations }: BulkPorts, context: Context<DashboardEnv>) {
  const form = context.get("form");
  const given = [...FILTERS, "action"].map((name) => [name, form.get(name) ?? ""] as const)
    .filter(([, value]) => value !== "");
  const asked = Object.fromEntries(given);
  const filter = filterOf(asked, context.get("viewer"));
  const isCancel = asked.action === "cancel" && filter.state === "pending";
  const id = await operations.startReplay(
    { ...filter, ...(isCancel ? { action: "cancel" as const } : {}) },
    actorOf(context),
  );
  return context.redirect(bulkPath(id), 303);
}

/** Ends the job; what it has seen to by then stays so. */
export async function stopBulk({ operations }: BulkPorts, context: Context<DashboardEnv>) {
  const id = context.req.param("id") ?? "";
  await operations.stopReplay(id, actorOf(context));
  return context.redirect(bulkPath(id), 303);
}

/** How far a job is. */
export async function bulkJobPage({ reader }: BulkPorts, context: Context<DashboardEnv>) {
  const viewer = context.get("viewer");
  const id = context.req.param("id") ?? "";
  const job = await reader.replay(id);
  if (!job) {
    throw new ProblemError({
      status: 404,
      title: "No such job",
      detail: `there is no replay "${id}"; it may have been pruned`,
    });
  }
  const isRunning = job.state === "running";
  const title = job.filter.action === "cancel" ? "Cancelling deliveries" : "Sending deliveries";
  return renderPage({
    title,
    section: DELIVERIES,
    viewer,
    ...(isRunning ? { refreshS: 1 } : {}),
    children: (
      <>
        <p class="crumbs">
          <a href={DELIVERIES}>Deliveries</a>
        </p>
        <h1>{title}</h1>
        <div id="job" data-swap>
          <p>
            <progress max={Math.max(1, job.total)} value={job.done} aria-label="How far it is" />
          </p>
          <p>
            {progressOf(job, viewer)} Begun <When at={job.createdAt} now={viewer.now} /> by{" "}
            {visible(job.by)}.
          </p>
          {isRunning && (
            <>
              <ActionButton
                viewer={viewer}
                action={bulkPath(id, "stop")}
                label="Stop"
                kind="danger"
              />
              <p>
                <a href={bulkPath(id)}>Look again</a>
              </p>
            </>
          )}
        </div>
      </>
    ),
  });
}

function progressOf({ state, done, total, createdAt }: Replay, { now }: Viewer): string {
  const amount = `${count(done)} of ${count(total)}`;
  if (state === "stopped") return `Stopped after ${amount}.`;
  if (state === "finished") {
    return done < total
      ? `Finished: ${amount}; the others had changed or are held.`
      : `All ${amount}.`;
  }
  const seconds = (now - createdAt) / 1_000;
  const perSecond = seconds > 0 ? done / seconds : 0;
  if (perSecond === 0) return `${amount}.`;
  const leftMs = Math.ceil((total - done) / perSecond) * 1_000;
  return `${amount}, ${count(Math.round(perSecond))}/s, ${formatDuration(leftMs)} left.`;
}

function filterOf(asked: Asked, { now }: Viewer): ReplayFilter {
  const { since = "1970-01-01T00:00:00Z", until, ...which } = pick(asked);
  const checked = replayRequest.safeParse({ ...which, since, ...(until && { until }) });
  if (!checked.success) {
    throw new ProblemError({
      status: 422,
      title: "Nothing was done",
      detail: checked.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`)
        .join("; "),
    });
  }
  const { state, subscription, type } = checked.data;
  return {
    ...(state === undefined ? {} : { state }),
    ...(subscription === undefined ? {} : { subscription }),
    ...(type === undefined ? {} : { type }),
    since: parseInstant(since)!,
    // What comes from now on was not on the screen.
    until: until === undefined ? now + 1 : parseInstant(until)!,
  };
}

function pick(asked: Asked): Record<string, string> {
  const given = FILTERS.map((name) => [name, asked[name]] as const);
  return Object.fromEntries(given.filter((pair): pair is [typeof pair[0], string] => !!pair[1]));
}

function wordsOf(asked: Asked): string {
  return Object.entries(pick(asked)).map(([name, value]) => `${name}: ${value}`).join(", ");
}
