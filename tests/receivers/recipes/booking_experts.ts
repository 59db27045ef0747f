import { keysProblem, kindProblem, memberOf, shown, stringOf } from "./body.ts";
import {
  formProblem,
  type ParsedRequest,
  type RequestProblem,
} from "../../../src/receivers/verification.ts";

/** Booking Experts' page, "Target URL" and "Event Metadata". Nothing is signed, so only the form counts. */
export function bookingExperts(parsed: ParsedRequest): RequestProblem | undefined {
  return keysProblem(parsed, KEYS, ["event_metadata"]) ??
    eventNameProblem(parsed) ??
    kindProblem(parsed, "subscription_id", ["string", "number"]) ??
    kindProblem(parsed, "record", ["object"]) ??
    contextProblem(parsed) ??
    metadataProblem(parsed);
}

const KEYS = ["event", "subscription_id", "record", "context", "context_id", "event_metadata"];

function eventNameProblem(parsed: ParsedRequest): RequestProblem | undefined {
  if (/^[^:|]+[:|][^:|]+$/.test(stringOf(parsed, "event") ?? "")) return undefined;
  const found = shown(memberOf(parsed, "event"));
  return formProblem(`event is ${found}, expected "resource:action" or "resource|action"`);
}

function metadataProblem(parsed: ParsedRequest): RequestProblem | undefined {
  if (memberOf(parsed, "event_metadata") === undefined) return undefined;
  return kindProblem(parsed, "event_metadata", ["object"]);
}

/** An administration or organization has an id; a global context has none. */
function contextProblem(parsed: ParsedRequest): RequestProblem | undefined {
  switch (stringOf(parsed, "context")) {
    case "administration":
    case "organization":
      return kindProblem(parsed, "context_id", ["string", "number"]);
    case "global":
      return kindProblem(parsed, "context_id", ["null"]);
    default:
      return formProblem(
        `context is ${shown(memberOf(parsed, "context"))}, ` +
          'expected "administration", "organization" or "global"',
      );
  }
}
