import type { Secret } from "../domain/secret.ts";
import type { Findings } from "./problem.ts";
import { type Allowed, receiverUrlProblem } from "./receiver_url.ts";
import type { Place } from "./source.ts";

/** What contacts of a subscription go by. */
export interface ContactMeans {
  /** Where the subscription's own requests may go: its owner's webhooks go no further. */
  readonly allowed: Allowed;
  readonly secret: Secret | undefined;
  /** Whether `notify` has a mail channel, through which mail to contacts goes as well. */
  readonly hasMail: boolean;
}

/** The contacts of a subscription, each once; what keeps one from being told is found. */
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
