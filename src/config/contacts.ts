import type { Secret } from "../domain/secret.ts";
import type { Findings } from "./problem.ts";
import { type Allowed, receiverUrlProblem } from "./receiver_url.ts";
import type { Place } from "./source.ts";

/** How the contacts of a subscription can be reached. */
export interface ContactMeans {
  /** The limits for the subscription's URL. They hold for its contacts' URLs as well. */
  readonly allowed: Allowed;
  readonly secret: Secret | undefined;
  /** Whether `notify` has a mail channel. Mail to contacts is sent through it. */
  readonly hasMail: boolean;
}

/** The contacts of a subscription, each once. Reports those that can't be reached. */
export function readContacts(
  place: Place,
  means: ContactMeans,
  findings: Findings,
): readonly string[] {
  const places = place.kind === "array" ? place.elements() : place.exists ? [place] : [];
  const contacts = new Set<string>();
  for (const at of places) {
    const contact = at.value();
    if (typeof contact !== "string") continue;
    contacts.add(contact);
    if (contact.includes("://")) checkWebhook(contact, at, means, findings);
    else if (contact.includes("@") && !means.hasMail) {
      findings.add(at.problem(
        'mail can\'t be sent: "notify" has no "email" channel, which says by what server',
        'add {"email": {"smtp": "smtp://user@host:587", "from": …, "to": […]}} to "notify"',
      ));
    }
  }
  return [...contacts];
}

function checkWebhook(
  url: string,
  place: Place,
  { allowed, secret }: ContactMeans,
  findings: Findings,
): void {
  const problem = receiverUrlProblem(url, allowed, place);
  if (problem) findings.add(problem);
  if (secret !== undefined) return;
  findings.add(place.problem(
    "what is posted here is signed with the subscription's secret, and it has none",
    'add "secret", or give a mail address',
  ));
}
