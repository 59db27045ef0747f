import { createHash } from "node:crypto";
import type { Config } from "../config/config.ts";
import type { NoticeChannel, NoticeKind } from "../domain/notice.ts";
import { MAX_RESPONSE_BYTES, type Outcome, responseOf } from "../domain/attempt.ts";
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
    const channels = new Map<string, { channel: NoticeChannel; subscription: Subscription }>();
    for (const channel of config.notify) {
      const name = channelId(channel);
      let id = name;
      for (let count = 2; channels.has(id); count++) id = `${name}#${count}`;
      channels.set(id, { channel, subscription: channelSubscription(channel, id) });
    }
    this.#channels = channels;
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

/**
 * What a channel is, as the id of the subscription that stands for it, so that notices find it again
 * after the config has changed. Logs and lists show it: of a URL, whose path may be the key to a
 * chat room, only the host can be read.
 */
export function channelId(channel: NoticeChannel): string {
  switch (channel.kind) {
    case "webhook": {
      // Neither holds the query, which is where a token changes.
      const { host, origin, pathname } = new URL(channel.url);
      const digest = createHash("sha256").update(origin + pathname).digest("hex");
      return `notify:${host}:${digest.slice(0, 8)}`;
    }
    case "email":
      return `notify:mailto:${channel.to.join(",")}`;
    case "command":
      return `notify:command:${channel.command[0]}`;
  }
}

function channelSubscription(channel: NoticeChannel, id: string): Subscription {
  return {
    id,
    url: urlOf(channel),
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
    // What is gone would tell of nothing any more, and nobody of it.
    endsWhenGone: false,
    timeoutMs: CHANNEL_DEADLINE_MS,
    concurrency: 4,
    keepResponseBytes: MAX_RESPONSE_BYTES,
    standardHeaders: channel.kind === "webhook",
    traceparent: false,
    allowHttp: true,
    allowNetworks: channel.kind === "webhook" ? channel.allowNetworks ?? [] : [],
  };
}

function urlOf(channel: NoticeChannel): string {
  switch (channel.kind) {
    case "webhook":
      return channel.url;
    case "email":
      return `mailto:${channel.to.join(",")}`;
    case "command":
      return `command:${channel.command[0]}`;
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
