/**
 * Each platform's own way to verify a webhook, written from its page and apart from the code that
 * signs: two readings of one page that agree are worth more than one that agrees with itself.
 */
import { headerProblem, openBody, stringOf } from "./body.ts";
import { bookingExperts } from "./booking_experts.ts";
import { bookingscheduler } from "./bookingscheduler.ts";
import { bookingshake } from "./bookingshake.ts";
import { bookingsync } from "./bookingsync.ts";
import { roostsync } from "./roostsync.ts";
import { hasTrio, type SecretReading, standard, trioProblem } from "./standard_webhooks.ts";
import type {
  Opened,
  Problem,
  ReceivedRequest,
  Verification,
} from "../../../src/receivers/verification.ts";

/** Verifies a request by the recipe of a built-in profile. Throws where it has none of that name. */
export function verify(
  profile: string,
  request: ReceivedRequest,
  secret: string | undefined,
): Verification {
  const known = RECIPES.get(profile);
  if (known === undefined) throw new Error(`no recipe is known for the profile "${profile}"`);
  const body = openBody(request, secret);
  if ("problem" in body) return { ok: false, ...body.problem };
  const { opened } = body;
  const event = stringOf(opened, known.eventKey);
  const problem = headerProblem(request.headers, "Content-Type", "application/json") ??
    known.recipe(opened) ??
    trioBesideProblem(opened, known);
  if (problem) return { ok: false, ...(event !== undefined && { event }), ...problem };
  return { ok: true, event: event!, signed: known.signs || trioCounts(opened) };
}

/** One platform's way to look at a request: the first problem, or none. */
type Recipe = (opened: Opened) => Problem | undefined;

interface KnownRecipe {
  readonly recipe: Recipe;
  /** The member of the body that names the event. */
  readonly eventKey: string;
  /** Whether the format has a signature of its own. */
  readonly signs: boolean;
  /** How the secret is read where the trio stands beside the format's own headers. */
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

function trioBesideProblem(opened: Opened, { trio, signs }: KnownRecipe): Problem | undefined {
  if (trio === undefined || !hasTrio(opened.headers)) return undefined;
  // Where the format signs nothing, a receiver without a secret takes it as it comes.
  if (!signs && opened.secret === undefined) return undefined;
  return trioProblem(opened, trio);
}

function trioCounts(opened: Opened): boolean {
  return opened.secret !== undefined && hasTrio(opened.headers);
}
