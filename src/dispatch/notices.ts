import type { Config } from "../config/config.ts";
import type { NoticeChannel, NoticeKind } from "../domain/notice.ts";
import type { Outcome } from "../domain/attempt.ts";
import { diagnose } from "../domain/diagnosis.ts";
import type { HealthChange } from "../domain/health.ts";
import { formatInstant, type Instant } from "../domain/instant.ts";
import { HOUSE_LADDER } from "../domain/ladder.ts";
import { compilePattern } from "../domain/pattern.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { NewEvent } from "../outbox/outbox.ts";
import { formatOf } from "../profiles/render.ts";
import { BUILT_IN } from "../profiles/table.ts";
import type { Random } from "../runtime/random.ts";

/** What a notice says; JSON with these names goes to every kind of channel. */
export interface Notice {
  readonly kind: NoticeKind;
  readonly at: Instant;
  /** One sentence. */
  readonly summary: string;
  readonly subscription?: string;
  readonly url?: string;
  /** Since when it has been so. */
  readonly since?: Instant;
  readonly delivery?: { readonly id: string; readonly type: string; readonly attempts: number };
  readonly lastOutcome?: Outcome;
  /** When the next attempt of anything for this subscription is due. */
  readonly nextAttemptAt?: Instant;
  /** What is wrong with a config that was rejected. */
  readonly problems?: readonly string[];
  /** The operator who did it. */
  readonly by?: string;
  /** The command that helps. */
  readonly command: string;
}

/** How long a channel may take for one notice. */
const CHANNEL_DEADLINE_MS = 30_000;
const MAX_EXCERPT = 500;

/**
 * Operators are told by the same way that receivers are: a notice is an event, a channel is a
 * subscription that the config's `notify` stands for, and the outbox keeps and retries both.
 */
export class Notices {
  readonly #random: Random;
  #channels = new Map<string, { channel: NoticeChannel; subscription: Subscription }>();

  constructor({ random, config }: { random: Random; config: Config }) {
    this.#random = random;
    this.swap(config);
  }

  /** Puts another config's channels in place. */
  swap(config: Config): void {
    this.#channels = new Map(config.notify.map((channel) => {
      const subscription = channelSubscription(channel);
      return [subscription.id, { channel, subscription }];
    }));
  }

  /** The subscription that a channel is sent by. */
  subscription(id: string): Subscription | undefined {
    return this.#channels.get(id)?.subscription;
  }

  channel(id: string): NoticeChannel | undefined {
    return this.#channels.get(id)?.channel;
  }

  /** The notice as an event for every channel that wants its kind; undefined where none does. */
  compose(notice: Notice): NewEvent | undefined {
    const wanting = [...this.#channels.values()].filter(({ channel }) =>
      channel.on.includes(notice.kind)
    );
    if (wanting.length === 0) return undefined;
    return {
      event: {
        id: `ntc_${this.#random.ulid(notice.at)}`,
        type: notice.kind,
        occurredAt: notice.at,
        scope: new Map(),
        data: JSON.stringify(asData(notice)),
      },
      deliveries: wanting.map(({ subscription }) => ({
        subscription: subscription.id,
        format: formatOf(subscription),
        cause: "notice",
        claim: false,
      })),
    };
  }
}

/** The notice kind and the first words of a change of health. */
export const CHANGE_KINDS: { readonly [change in HealthChange]: NoticeKind } = {
  failing: "subscription.failing",
  recovered: "subscription.recovered",
  paused: "subscription.paused",
};

/** A channel's id holds what it is, so that notices find it again after the config has changed. */
function channelSubscription(channel: NoticeChannel): Subscription {
  const { id, url } = addressOf(channel);
  return {
    id,
    url,
    events: [compilePattern("*")],
    profile: BUILT_IN.get("standard")!,
    ...(channel.kind === "webhook" ? { secret: channel.secret } : {}),
    scope: new Map(),
    match: [],
    headers: [],
    rename: new Map(),
    enabled: true,
    settings: new Map(),
    permissions: [],
    success: [[200, 299]],
    ladder: HOUSE_LADDER,
    jitter: 0.1,
    waitForConfirmation: true,
    timeoutMs: CHANNEL_DEADLINE_MS,
    concurrency: 4,
    standardHeaders: channel.kind === "webhook",
    allowHttp: true,
    allowNetworks: channel.kind === "webhook" ? channel.allowNetworks ?? [] : [],
  };
}

function addressOf(channel: NoticeChannel): { id: string; url: string } {
  switch (channel.kind) {
    case "webhook": {
      // A query may hold a token: it stays out of ids, which logs and lists show.
      const { origin, pathname } = new URL(channel.url);
      return { id: `notify:${origin}${pathname}`, url: channel.url };
    }
    case "email":
      return { id: `notify:mailto:${channel.to.join(",")}`, url: `mailto:${channel.to.join(",")}` };
    case "command":
      return { id: `notify:command:${channel.command[0]}`, url: `command:${channel.command[0]}` };
  }
}

function asData(notice: Notice) {
  const { at: _, since, nextAttemptAt, lastOutcome, ...rest } = notice;
  return {
    ...rest,
    ...(since === undefined ? {} : { since: formatInstant(since) }),
    ...(lastOutcome ? { lastAnswer: answerOf(lastOutcome) } : {}),
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt: formatInstant(nextAttemptAt) }),
  };
}

function answerOf(outcome: Outcome) {
  const diagnosis = diagnose(outcome, false);
  if (outcome.kind === "failed") return { error: outcome.error, diagnosis };
  const body = new TextDecoder().decode(outcome.body.subarray(0, MAX_EXCERPT));
  return { status: outcome.status, body, diagnosis };
}
