import type { Rate } from "../domain/duration.ts";
import type { ScopeCondition } from "../domain/event.ts";
import type { JsonText } from "../domain/json_text.ts";
import type { NoticeChannel } from "../domain/notice.ts";
import type { Pattern } from "../domain/pattern.ts";
import type { Profile } from "../domain/profile.ts";
import type { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";

/** A config that has been read and checked, with all defaults. */
export interface Config {
  /** The absolute path of its file. */
  readonly path: string;
  readonly server: {
    readonly listen: Listen;
    readonly maxBodyBytes: number;
    readonly shutdownGraceMs: number;
    /** Networks of proxies whose `X-Forwarded-For` is trusted, or `unix` for peers on a Unix socket. */
    readonly trustProxy?: readonly string[];
    /** The file mode of a Unix socket. */
    readonly socketMode: number;
    /** The group of a Unix socket, by name or number. By default that of the process. */
    readonly socketGroup?: string;
    /** What a proxy removes from the paths that it forwards, as in `/bellhook`. May be empty. */
    readonly basePath: string;
  };
  /** Without it nobody needs a token, and only this machine may call. */
  readonly auth?: {
    readonly publishers: readonly Publisher[];
    readonly operators: readonly Operator[];
  };
  readonly storage: {
    /** Absolute path of the SQLite file, or `:memory:`. */
    readonly path: string;
    readonly keepDeliveredMs: number;
    readonly keepExhaustedMs: number;
  };
  /** Attempts under way at once, in the whole process. */
  readonly totalConcurrency: number;
  readonly notify: readonly NoticeChannel[];
  /** The catalogue of the publisher's event types. Undefined if any type is accepted. */
  readonly eventTypes?: ReadonlyMap<string, EventType>;
  /** The key of an event's scope that names its customer. */
  readonly tenancy?: { readonly key: string };
  /** The built-in profiles and those of the file, by name. */
  readonly profiles: ReadonlyMap<string, Profile>;
  readonly subscriptions: readonly Subscription[];
}

export type Listen =
  /** Host without brackets. */
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

export interface Publisher {
  readonly name: string;
  readonly token: Secret;
  /** The types it may post. By default any. */
  readonly types?: readonly Pattern[];
  /** The condition on the scope of its events, if there is one. */
  readonly scope?: ScopeCondition;
  /** How many events it may post in a length of time. */
  readonly rate?: Rate;
  /** How many deliveries of its events may be pending. */
  readonly maxPending?: number;
}

export interface Operator {
  readonly name: string;
  readonly token: Secret;
}

export interface EventType {
  readonly description?: string;
  readonly example?: JsonText;
}

/** An error or a warning about a config file, and how to fix it. */
export interface Problem {
  readonly file: string;
  /** From 1. Left out if the problem is about the whole file. */
  readonly line?: number;
  readonly column?: number;
  /** As in `subscriptions[0].events[0]`; empty at the root. */
  readonly path: string;
  readonly message: string;
  readonly fix?: string;
}
