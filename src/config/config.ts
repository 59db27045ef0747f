import type { Rate } from "../domain/duration.ts";
import type { ScopeCondition } from "../domain/event.ts";
import type { JsonText } from "../domain/json_text.ts";
import type { NoticeChannel } from "../domain/notice.ts";
import type { Pattern } from "../domain/pattern.ts";
import type { Profile } from "../domain/profile.ts";
import type { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";

/** A config file that was read, checked and filled in: nothing in it can be wrong any more. */
export interface Config {
  /** The file it came from, absolute. */
  readonly path: string;
  readonly server: {
    readonly listen: Listen;
    readonly maxBodyBytes: number;
    readonly shutdownGraceMs: number;
    /** Networks of proxies whose `X-Forwarded-For` is believed; `unix` for a Unix socket's peers. */
    readonly trustProxy?: readonly string[];
    /** The rights of a Unix socket, as `chmod` has them. */
    readonly socketMode: number;
    /** The group of a Unix socket, by name or number; undefined: the process's own. */
    readonly socketGroup?: string;
    /** What a proxy takes off the paths it passes on, as in `/bellhook`; empty: nothing. */
    readonly basePath: string;
  };
  /** Undefined: no tokens, loopback alone. */
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
  /** The catalogue of the publisher's event types; undefined where any type is taken. */
  readonly eventTypes?: ReadonlyMap<string, EventType>;
  /** The key of an event's scope that says whose it is; undefined: events belong to nobody. */
  readonly tenancy?: { readonly key: string };
  /** Built-in profiles and the file's own, by name. */
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
  /** The types it may post; undefined: any. */
  readonly types?: readonly Pattern[];
  /** What the scope of its events must hold; undefined: anything. */
  readonly scope?: ScopeCondition;
  /** Events it may post per length of time. */
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

/** Something wrong, or doubtful, in a config file, and how to mend it. */
export interface Problem {
  readonly file: string;
  /** 1 is the first; left out where the problem is the file as a whole. */
  readonly line?: number;
  readonly column?: number;
  /** As in `subscriptions[0].events[0]`; empty at the root. */
  readonly path: string;
  readonly message: string;
  readonly fix?: string;
}
