import { keysProblem, kindProblem, memberOf, shown, stringOf } from "./body.ts";
import { formProblem, type Opened, type Problem } from "../../../src/receivers/verification.ts";

/** Booking Experts' page, "Target URL" and "Event Metadata": nothing is signed, so its form is all. */
export function bookingExperts(opened: Opened): Problem | undefined {
  return keysProblem(opened, KEYS, ["event_metadata"]) ??
    eventNameProblem(opened) ??
    kindProblem(opened, "subscription_id", ["string", "number"]) ??
    kindProblem(opened, "record", ["object"]) ??
    contextProblem(opened) ??
    metadataProblem(opened);
}

const KEYS = ["event", "subscription_id", "record", "context", "context_id", "event_metadata"];

function eventNameProblem(opened: Opened): Problem | undefined {
  if (/^[^:|]+[:|][^:|]+$/.test(stringOf(opened, "event") ?? "")) return undefined;
  const found = shown(memberOf(opened, "event"));
  return formProblem(`event is ${found}, expected "resource:action" or "resource|action"`);
}

function metadataProblem(opened: Opened): Problem | undefined {
  if (memberOf(opened, "event_metadata") === undefined) return undefined;
  return kindProblem(opened, "event_metadata", ["object"]);
}

/** An administration or organization has an id; what is global has none. */
function contextProblem(opened: Opened): Problem | undefined {
  switch (stringOf(opened, "context")) {
    case "administration":
    case "organization":
      return kindProblem(opened, "context_id", ["string", "number"]);
    case "global":
      return kindProblem(opened, "context_id", ["null"]);
    default:
      return formProblem(
        `context is ${shown(memberOf(opened, "context"))}, ` +
          'expected "administration", "organization" or "global"',
      );
  }
}
