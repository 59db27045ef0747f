import type { Context } from "hono";
import type { Steered } from "../../domain/delivery.ts";
import { assertWholeCharacters } from "../../domain/half_characters.ts";
import { parseInstant } from "../../domain/instant.ts";
import { compact, JsonTextError } from "../../domain/json_text.ts";
import { actorOf } from "../access.ts";
import { type Operations, refusedTest } from "../operations.ts";
import { ProblemError } from "../problem.ts";
import type { Reload } from "../reload.ts";
import { testRequest } from "../schemas.ts";
import { CONFIG, DELIVERIES, deliveryPath, OVERVIEW, ownPath, subscriptionPath } from "./paths.ts";
import type { DashboardEnv } from "./viewer.ts";

export interface ActionPorts {
  readonly operations: Operations;
  readonly reload: Reload;
}

type ActionContext = Context<DashboardEnv>;

/** As many as a list shows at the most. */
const MAX_SELECTED = 500;

/** Retries, or cancels, one delivery, and shows what came of it. */
export async function steerOne(
  { operations }: ActionPorts,
  context: ActionContext,
  verb: "retry" | "cancel",
): Promise<Response> {
  const id = context.req.param("id") ?? "";
  const steered = await operations[verb](id, actorOf(context));
  if (steered.kind === "unknown") throw new ProblemError(unknownDelivery(id));
  if (steered.kind === "refused") {
    throw new ProblemError({ status: 409, title: "Not possible now", detail: steered.why });
  }
  const done = verb === "cancel" ? "cancelled" : steered.delivery === id ? "hastened" : "again";
  return context.redirect(`${deliveryPath(steered.delivery)}?done=${done}`, 303);
}

/** Retries, or cancels, what was selected in a list, and comes back to it. */
export async function steerMany(
  { operations }: ActionPorts,
  context: ActionContext,
  verb: "retry" | "cancel",
): Promise<Response> {
  const form = context.get("form");
  const ids = [...new Set(form.getAll("id"))].slice(0, MAX_SELECTED);
  const by = actorOf(context);
  // All at once: they share their commits.
  const steered: Steered[] = await Promise.all(ids.map((id) => operations[verb](id, by)));
  const done = steered.filter(({ kind }) => kind === "done").length;
  const back = new URL(backOf(context, DELIVERIES), "http://daemon");
  back.searchParams.set("done", verb);
  back.searchParams.set("count", String(done));
  if (done < ids.length) back.searchParams.set("refused", String(ids.length - done));
  else back.searchParams.delete("refused");
  return context.redirect(back.pathname + back.search, 303);
}

/** Pauses, or resumes, a subscription. */
export async function hold(
  { operations }: ActionPorts,
  context: ActionContext,
  verb: "pause" | "resume",
): Promise<Response> {
  const id = context.req.param("id") ?? "";
  if (!await operations[verb](id, actorOf(context))) throw unknownSubscription(id);
  return context.redirect(`${subscriptionPath(id)}?done=${verb}d`, 303);
}

/** Sends a test event, and shows its delivery. */
export async function sendTest(
  { operations }: ActionPorts,
  context: ActionContext,
): Promise<Response> {
  const id = context.req.param("id") ?? "";
  const form = context.get("form");
  const type = form.get("type") || undefined;
  const checked = testRequest.safeParse(type === undefined ? {} : { type });
  if (!checked.success) {
    throw new ProblemError({
      status: 422,
      title: "No test was sent",
      detail: checked.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`)
        .join("; "),
    });
  }
  const data = dataIn(form.get("data") ?? "");
  const tested = await operations.test(id, {
    ...(type === undefined ? {} : { type }),
    ...(data === undefined ? {} : { data }),
    by: actorOf(context),
  });
  if (!tested) throw unknownSubscription(id);
  if (tested.kind === "refused") throw new ProblemError(refusedTest(tested.why));
  return context.redirect(`${deliveryPath(tested.delivery)}?done=tested`, 303);
}

/** The data of a form as compact JSON; undefined where it is left empty. */
function dataIn(text: string): string | undefined {
  if (text.trim() === "") return undefined;
  try {
    const data = compact(text);
    assertWholeCharacters(data);
    return data;
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw new ProblemError({
      status: 422,
      title: "No test was sent",
      detail: `the data is no JSON: ${error.message}`,
    });
  }
}

/** Sends what failed for good since then again. */
export async function replayFailed(
  { operations }: ActionPorts,
  context: ActionContext,
): Promise<Response> {
  const id = context.req.param("id") ?? "";
  const since = parseInstant(context.get("form").get("since") ?? "");
  if (since === undefined) {
    throw new ProblemError({
      status: 422,
      title: "Nothing was sent again",
      detail: 'since must be an RFC 3339 instant, as in "2024-03-15T10:30:00Z"',
    });
  }
  const until = context.get("viewer").now + 1;
  await operations.startReplay(
    { subscription: id, state: "failed", since, until },
    actorOf(context),
  );
  return context.redirect(`${subscriptionPath(id)}?done=replaying`, 303);
}

/** Reads the config anew; where it is bad, the page says how. */
export async function reloadNow(
  { reload }: ActionPorts,
  context: ActionContext,
): Promise<Response> {
  const report = await reload({ by: actorOf(context) });
  return context.redirect(report.kind === "reloaded" ? `${CONFIG}?done=reloaded` : CONFIG, 303);
}

/** The page that a form stood on. */
export function backOf(context: ActionContext, otherwise = OVERVIEW): string {
  return ownPath(context.get("form").get("back") ?? undefined) ?? otherwise;
}

function unknownDelivery(id: string) {
  return {
    status: 404,
    title: "No such delivery",
    detail: `there is no delivery "${id}"; it may have been pruned`,
  } as const;
}

function unknownSubscription(id: string): ProblemError {
  return new ProblemError({
    status: 404,
    title: "No such subscription",
    detail: `the config has no subscription "${id}"`,
  });
}
