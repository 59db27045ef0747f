import type { Config } from "../config/config.ts";
import { type Outcome, responseOf } from "../domain/attempt.ts";
import { shellWord } from "../domain/curl.ts";
import { diagnose } from "../domain/diagnosis.ts";
import type { HealthChange } from "../domain/health.ts";
import { formatInstant, type Instant } from "../domain/instant.ts";
import type { Channel, NoticeChannel, NoticeKind } from "../domain/notice.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { ExhaustedDigest, NewEvent } from "../outbox/outbox.ts";
import { formatOf } from "../profiles/render.ts";
import type { Random } from "../runtime/random.ts";
import { channelId, channelSubscription } from "./channels.ts";
import {
  type ContactChannel,
  contactChannel,
  contactData,
  contactIds,
  isForContacts,
  ownerOfContact,
} from "./contacts.ts";
import type { Notice } from "./notice.ts";

const MAX_EXCERPT = 500;

export interface NoticesPorts {
  readonly random: Random;
  readonly config: Config;
  /** A subscription of the config in force. */
  readonly subscription: (id: string) => Subscription | undefined;
}

/**
 * Operators are told by the same way that receivers are: a notice is an event, a channel is a
 * subscription that the config's `notify` stands for, and the outbox keeps and retries both. So are the
 * contacts of a subscription, each a channel of its own.
 */
export class Notices {
  readonly #random: Random;
  readonly #subscription: NoticesPorts["subscription"];
  #channels = new Map<string, { channel: NoticeChannel; subscription: Subscription }>();
  /** How mail to contacts goes out: as the first mail channel's does. */
  #mail: Channel & { kind: "email" } | undefined;
  /** Contacts that were asked for lately, with the subscription they were made of. */
  #contacts = new Map<string, { owner: Subscription; contact: ContactChannel | undefined }>();

  constructor({ random, config, subscription }: NoticesPorts) {
    this.#random = random;
    this.#subscription = subscription;
    this.swap(config);
  }

  /** Puts another config's channels in place. */
  swap(config: Config): void {
    const channels = new Map<string, { channel: NoticeChannel; subscription: Subscription }>();
    for (const channel of config.notify) {
      const name = channelId(channel);
      let id = name;
      for (let count = 2; channels.has(id); count++) id = `${name}#${count}`;
      channels.set(id, { channel, subscription: channelSubscription(channel, id) });
    }
    this.#channels = channels;
    this.#mail = config.notify.find((channel) => channel.kind === "email");
    this.#contacts.clear();
  }

  /** The subscription that a channel is sent by. */
  subscription(id: string): Subscription | undefined {
    return (this.#channels.get(id) ?? this.#contact(id))?.subscription;
  }

  /** Every channel of the config in force, by id. */
  get all(): ReadonlyMap<string, NoticeChannel> {
    return new Map(Array.from(this.#channels, ([id, { channel }]) => [id, channel]));
  }

  channel(id: string): Channel | undefined {
    return (this.#channels.get(id) ?? this.#contact(id))?.channel;
  }

  /** The notice as events, one for the channels that want its kind and one for the contacts. */
  compose(notice: Notice): NewEvent[] {
    const wanting = [...this.#channels.values()].filter(({ channel }) =>
      channel.on.includes(notice.kind)
    ).map(({ subscription }) => subscription);
    const owner = isForContacts(notice) ? this.#subscription(notice.subscription!) : undefined;
    const contacts = owner?.contact === undefined ? [] : contactIds(owner)
      .map((id) => this.#contact(id)?.subscription).filter((one) => one !== undefined);
    return [
      ...(wanting.length > 0 ? [this.#event(notice, asData(notice), wanting)] : []),
      ...(contacts.length > 0 ? [this.#event(notice, contactData(notice, owner!), contacts)] : []),
    ];
  }

  #event(notice: Notice, data: unknown, to: readonly Subscription[]): NewEvent {
    return {
      event: {
        id: `ntc_${this.#random.ulid(notice.at)}`,
        type: notice.kind,
        occurredAt: notice.at,
        scope: new Map(),
        data: JSON.stringify(data),
      },
      deliveries: to.map((subscription) => ({
        subscription: subscription.id,
        format: formatOf(subscription),
        cause: "notice",
        claim: false,
      })),
    };
  }

  /** Made when it is asked for: of 50 000 subscriptions, few have something to tell. */
  #contact(id: string): ContactChannel | undefined {
    const owner = this.#subscription(ownerOfContact(id) ?? "");
    if (owner === undefined) return undefined;
    const known = this.#contacts.get(id);
    if (known?.owner === owner) return known.contact;
    const contact = contactChannel(id, owner, this.#mail);
    if (this.#contacts.size >= MOST_CONTACTS) this.#contacts.clear();
    this.#contacts.set(id, { owner, contact });
    return contact;
  }
}

/** So many contacts are kept at hand. */
const MOST_CONTACTS = 1_000;

/** A digest as the notice of it. */
export function digestNotice(digest: ExhaustedDigest, at: Instant): Notice {
  const { since, deliveries, subscriptions, most } = digest;
  const what = deliveries === 1 ? "1 delivery was" : `${deliveries} deliveries were`;
  const whose = subscriptions === 1 ? most[0]!.subscription : `${subscriptions} subscriptions`;
  return {
    kind: "delivery.exhausted",
    at,
    summary: `${what} exhausted for ${whose} since ${formatInstant(since)}`,
    since,
    exhausted: { deliveries, subscriptions, most },
    command: "bellhook deliveries --state exhausted" +
      (subscriptions === 1 ? ` --subscription ${shellWord(most[0]!.subscription)}` : ""),
  };
}

/** The notice kind and the first words of a change of health. */
export const CHANGE_KINDS: { readonly [change in HealthChange]: NoticeKind } = {
  failing: "subscription.failing",
  recovered: "subscription.recovered",
  paused: "subscription.paused",
};

function asData(notice: Notice) {
  const { at: _, since, nextAttemptAt, lastOutcome, exhausted, ...rest } = notice;
  return {
    ...rest,
    ...(exhausted && {
      count: exhausted.deliveries,
      subscriptions: exhausted.subscriptions,
      examples: exhausted.most.map(({ subscription, deliveries, example }) => ({
        subscription,
        count: deliveries,
        ...example,
      })),
    }),
    ...(since === undefined ? {} : { since: formatInstant(since) }),
    ...(lastOutcome ? { lastAnswer: answerOf(lastOutcome) } : {}),
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt: formatInstant(nextAttemptAt) }),
  };
}

function answerOf(outcome: Outcome) {
  const diagnosis = diagnose(outcome, false);
  const response = responseOf(outcome);
  return {
    ...(response && {
      status: response.status,
      body: new TextDecoder().decode(response.body.subarray(0, MAX_EXCERPT)),
    }),
    ...(outcome.kind === "failed" && { error: outcome.error }),
    diagnosis,
  };
}
