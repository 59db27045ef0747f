/**
 * Each platform's way to verify a webhook, written from its page, independently of the code that
 * signs. If both agree, both have probably understood the page.
 */
import { headerProblem, parseBody, stringOf } from "./body.ts";
import { bookingExperts } from "./booking_experts.ts";
import { bookingscheduler } from "./bookingscheduler.ts";
import { bookingshake } from "./bookingshake.ts";
import { bookingsync } from "./bookingsync.ts";
import { roostsync } from "./roostsync.ts";
import { hasTrio, type SecretReading, standard, trioProblem } from "./standard_webhooks.ts";
import type {
  ParsedRequest,
  ReceivedRequest,
  RequestProblem,
  Verification,
} from "../../../src/receivers/verification.ts";

/** Verifies a request with the recipe of a built-in profile. Throws if there is no such profile. */
export function verify(
  profile: string,
  request: ReceivedRequest,
  secret: string | undefined,
): Verification {
  const known = RECIPES.get(profile);
  if (known === undefined) throw new Error(`no recipe is known for the profile "${profile}"`);
  const body = parseBody(request, secret);
  if ("problem" in body) return { ok: false, ...body.problem };
  const { parsed } = body;
  const event = stringOf(parsed, known.eventKey);
  const problem = headerProblem(request.headers, "Content-Type", "application/json") ??
    known.recipe(parsed) ??
    trioBesideProblem(parsed, known);
  if (problem) return { ok: false, ...(event !== undefined && { event }), ...problem };
  return { ok: true, event: event!, signed: known.signs || trioCounts(parsed) };
}

/** One platform's check of a request: the first problem, or none. */
type Recipe = (parsed: ParsedRequest) => RequestProblem | undefined;

interface KnownRecipe {
  readonly recipe: Recipe;
  /** The body's member with the event's name. */
  readonly eventKey: string;
  /** Whether the format has a signature of its own. */
  readonly signs: boolean;
  /** How the secret is decoded for the trio, if it accompanies the format's own headers. */
  readonly trio?: SecretReading;
}

const RECIPES: ReadonlyMap<string, KnownRecipe> = new Map<string, KnownRecipe>([
  ["bookingsync", { recipe: bookingsync, eventKey: "event", signs: true, trio: "text" }],
  ["booking-experts", { recipe: bookingExperts, eventKey: "event", signs: false, trio: "either" }],
  ["bookingshake", { recipe: bookingshake, eventKey: "event", signs: true, trio: "text" }],
  ["bookingscheduler", { recipe: bookingscheduler, eventKey: "event", signs: true, trio: "text" }],
  ["roostsync", { recipe: roostsync, eventKey: "event", signs: true, trio: "text" }],
  ["standard", { recipe: standard, eventKey: "type", signs: true }],
]);

function trioBesideProblem(
  parsed: ParsedRequest,
  { trio, signs }: KnownRecipe,
): RequestProblem | undefined {
  if (trio === undefined || !hasTrio(parsed.headers)) return undefined;
  // If the format signs nothing, a receiver without a secret accepts it unsigned.
  if (!signs && parsed.secret === undefined) return undefined;
  return trioProblem(parsed, trio);
}

function trioCounts(parsed: ParsedRequest): boolean {
  return parsed.secret !== undefined && hasTrio(parsed.headers);
}
