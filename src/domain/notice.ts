import type { Secret } from "./secret.ts";

/** What operators are told of. */
export type NoticeKind =
  | "subscription.failing"
  | "subscription.recovered"
  | "subscription.paused"
  | "delivery.exhausted"
  | "config.rejected";

/** One way to send a notice. */
export type Channel =
  | {
    readonly kind: "webhook";
    readonly url: string;
    readonly secret: Secret;
    /** CIDR ranges that the address guard lets through; left out: public addresses alone. */
    readonly allowNetworks?: readonly string[];
  }
  | {
    readonly kind: "email";
    /** `smtp://user@host:port` or `smtps://…`. */
    readonly smtp: string;
    readonly password?: Secret;
    readonly from: string;
    readonly to: readonly string[];
  }
  | { readonly kind: "command"; readonly command: readonly string[] }
  | {
    readonly kind: "slack";
    /** An incoming webhook: whoever knows its URL can post to the channel. */
    readonly url: Secret;
    /** As of a webhook. */
    readonly allowNetworks?: readonly string[];
  };

/** Where notices go; `on` says which kinds. */
export type NoticeChannel = Channel & { readonly on: readonly NoticeKind[] };

/** Whether an id is that of a channel or a contact: no subscription's id may begin so. */
export function isChannelId(id: string): boolean {
  return id.startsWith("notify:");
}

/** A channel in words for operators, without what may be a secret in an address. */
export function channelText(channel: Channel): string {
  switch (channel.kind) {
    case "webhook":
      return `webhook to ${new URL(channel.url).origin}`;
    case "email":
      return `mail to ${channel.to.join(", ")}`;
    case "command":
      return `command ${channel.command[0]}`;
    case "slack":
      return `Slack at ${new URL(channel.url.reveal()).host}`;
  }
}

/** What must never be shown of a channel. */
export function channelSecrets(channel: Channel): readonly Secret[] {
  switch (channel.kind) {
    case "webhook":
      return [channel.secret];
    case "email":
      return channel.password ? [channel.password] : [];
    case "command":
      return [];
    case "slack":
      return [channel.url];
  }
}
