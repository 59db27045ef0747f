import { createHash } from "node:crypto";
import { bareSubscription } from "../config/settings.ts";
import { MAX_RESPONSE_BYTES } from "../domain/attempt.ts";
import type { Channel } from "../domain/notice.ts";
import { compilePattern } from "../domain/pattern.ts";
import type { Subscription } from "../domain/subscription.ts";
import { BUILT_IN } from "../profiles/table.ts";

/** How long a channel may take for one notice. */
const CHANNEL_DEADLINE_MS = 30_000;

/** What is shown of a channel in place of a subscription's id and URL. */
interface Face {
  /** The id, after `notify:`. */
  readonly name: string;
  readonly url: string;
}

/** How each kind of channel is shown. Of a URL, whose path may be the key to a chat room, only the host. */
const FACES: { readonly [Kind in Channel["kind"]]: (channel: Channel & { kind: Kind }) => Face } = {
  webhook: ({ url }) => ({ name: hostAndDigest(url), url }),
  email: ({ to }) => ({ name: `mailto:${to.join(",")}`, url: `mailto:${to.join(",")}` }),
  command: ({ command }) => ({ name: `command:${command[0]}`, url: `command:${command[0]}` }),
  slack: ({ url }) => ({
    name: `slack:${hostAndDigest(url.reveal())}`,
    url: `slack:${new URL(url.reveal()).host}`,
  }),
};

function faceOf<Kind extends Channel["kind"]>(channel: Channel & { kind: Kind }): Face {
  return FACES[channel.kind as Kind](channel);
}

/**
 * The id of the subscription that stands for a channel, so that notices find it again after the config
 * has changed. Logs and lists show it.
 */
export function channelId(channel: Channel): string {
  return `notify:${faceOf(channel).name}`;
}

/** The subscription that stands for a channel: notices go out as its deliveries do. */
export function channelSubscription(channel: Channel, id: string): Subscription {
  return {
    ...bareSubscription(id, faceOf(channel).url, BUILT_IN.get("standard")!),
    events: [compilePattern("*")],
    ...(channel.kind === "webhook" ? { secret: channel.secret } : {}),
    // A channel that was paused could tell nobody that it was.
    endsWhenGone: false,
    timeoutMs: CHANNEL_DEADLINE_MS,
    concurrency: 4,
    keepResponseBytes: MAX_RESPONSE_BYTES,
    standardHeaders: channel.kind === "webhook",
    allowHttp: true,
    allowNetworks: "allowNetworks" in channel ? channel.allowNetworks ?? [] : [],
  };
}

/** Neither holds the query, which is where a token changes. */
function hostAndDigest(url: string): string {
  const { host, origin, pathname } = new URL(url);
  return `${host}:${shortDigest(origin + pathname)}`;
}

/** Tells apart what may not be shown. */
export function shortDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}
