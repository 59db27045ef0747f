import { type Outcome, responseOf } from "../domain/attempt.ts";
import { formatInstant } from "../domain/instant.ts";
import type { Channel } from "../domain/notice.ts";
import type { Subscription } from "../domain/subscription.ts";
import { channelSubscription, shortDigest } from "./channels.ts";
import type { Notice } from "./notice.ts";

const PREFIX = "notify:contact:";

/** What a subscription's owner is told of. */
const TOLD: ReadonlySet<string> = new Set([
  "subscription.failing",
  "subscription.recovered",
  "subscription.paused",
]);

/** A contact of a subscription, as a channel and as the subscription that stands for it. */
export interface ContactChannel {
  readonly channel: Channel;
  readonly subscription: Subscription;
}

/** Whether the owner of a subscription is told of such a notice. */
export function isForContacts({ kind, subscription }: Notice): boolean {
  return subscription !== undefined && TOLD.has(kind);
}

/** The ids of a subscription's contacts. An address is not part of them: it belongs to a customer. */
export function contactIds({ id, contact = [] }: Subscription): string[] {
  return contact.map((address) => `${PREFIX}${id}:${shortDigest(address)}`);
}

/** The id of the subscription that a contact belongs to; undefined where the id is no contact's. */
export function ownerOfContact(id: string): string | undefined {
  return id.startsWith(PREFIX) ? id.slice(PREFIX.length, id.lastIndexOf(":")) : undefined;
}

/** A contact by its id; undefined where the subscription has it no more. Mail goes out by `mail`. */
export function contactChannel(
  id: string,
  owner: Subscription,
  mail: Channel & { kind: "email" } | undefined,
): ContactChannel | undefined {
  const index = contactIds(owner).indexOf(id);
  const address = owner.contact?.[index];
  if (address === undefined) return undefined;
  if (isMailAddress(address)) {
    if (mail === undefined) return undefined;
    const channel: Channel = { ...mail, to: [address] };
    return { channel, subscription: channelSubscription(channel, id) };
  }
  const { secret, previousSecret, profile, allowNetworks } = owner;
  if (secret === undefined) return undefined;
  const channel: Channel = { kind: "webhook", url: address, secret, allowNetworks };
  const base = channelSubscription(channel, id);
  return {
    channel,
    subscription: {
      ...base,
      // Signed as the owner's events are, in whatever form the secret has.
      profile: { ...base.profile, secretForm: profile.secretForm },
      ...(previousSecret && { previousSecret }),
    },
  };
}

/** Whether a contact is a mail address; the others are URLs. */
export function isMailAddress(contact: string): boolean {
  return !contact.includes("://");
}

/**
 * A notice as a subscription's owner gets it: nothing of other customers, of operators or of the inside
 * of the network, and of the receiver's own URL no more than its host.
 */
export function contactData(notice: Notice, owner: Subscription): Record<string, unknown> {
  const receiver = new URL(owner.url).origin;
  const { kind, lastOutcome, by, since } = notice;
  const reason = kind === "subscription.recovered"
    ? undefined
    : by !== undefined
    ? "the sender paused them"
    : lastOutcome && reasonFor(lastOutcome);
  return {
    kind,
    summary: `${SUMMARIES[kind] ?? kind}`.replace("{receiver}", () => receiver) +
      (reason === undefined ? "" : `: ${reason}`),
    subscription: owner.id,
    receiver,
    ...(since !== undefined && { since: formatInstant(since) }),
    ...(reason !== undefined && { reason }),
    next: NEXT[kind],
  };
}

const SUMMARIES: Readonly<Record<string, string>> = {
  "subscription.failing": "webhooks to {receiver} are failing",
  "subscription.recovered": "webhooks to {receiver} are accepted again",
  "subscription.paused": "webhooks to {receiver} are paused",
};

const NEXT: Readonly<Record<string, string>> = {
  "subscription.failing":
    "events are still sent; once the receiver answers again, ask the sender " +
    "to send again what was given up",
  "subscription.recovered": "ask the sender to send again what was given up meanwhile",
  "subscription.paused": "events are kept until the sender resumes them",
};

/** Why in words that name no address: what a name resolves to may be inside somebody's network. */
function reasonFor(outcome: Outcome): string {
  const response = responseOf(outcome);
  if (response !== undefined) return `the receiver answered ${response.status}`;
  if (outcome.kind !== "failed") return "the receiver did not accept them";
  const { kind, message } = outcome.error;
  const validity = /^certificate (?:expired on|is not valid before) \d{4}-\d{2}-\d{2}/.exec(
    message,
  );
  return validity ? `the receiver's ${validity[0]}` : FAILURES[kind] ?? "no answer came";
}

const FAILURES: Readonly<Record<string, string>> = {
  dns: "the receiver's host name could not be resolved",
  connect: "no connection to the receiver could be opened",
  tls: "the receiver's certificate or TLS settings were not accepted",
  timeout: "the receiver did not answer in time",
  reset: "the connection was closed before an answer came",
  blocked: "the receiver's address is not one that webhooks may go to",
  protocol: "what answered does not speak HTTP as it should",
};
