import * as z from "zod";
import { formatStatusRanges, parseStatusRanges } from "../domain/attempt.ts";
import {
  formatDuration,
  formatRate,
  formatSize,
  parseDuration,
  parseRate,
  parseSize,
  type Rate,
} from "../domain/duration.ts";
import type { Ladder } from "../domain/ladder.ts";
import type { Profile } from "../domain/profile.ts";
import type { Subscription } from "../domain/subscription.ts";
import { BUILT_IN } from "../profiles/table.ts";
import {
  count,
  deadline,
  duration,
  keptSize,
  network,
  rateLimit,
  success,
} from "./value_schemas.ts";

/** A key that a subscription may set for itself, and the `delivery` block for all subscriptions. */
interface Setting<Raw, Value> {
  /** What may be written in the file. Its description documents the key. */
  readonly schema: z.ZodType<Raw>;
  /** Turns what is written into the value. */
  readonly parse: (written: Raw, profile: Profile) => Value;
  /** Turns a value into what would be written, unless that is the value itself. */
  readonly show?: (value: Exclude<Value, undefined>) => unknown;
  /** The default of the profile. */
  readonly ofProfile?: (profile: Profile) => Value | undefined;
  /** The default if the profile has none, as it would be written. */
  readonly builtIn?: Raw;
}

/** `field` is the setting's name in `Subscription`. */
function setting<const Field extends string, Raw, Value>(
  field: Field,
  setting: Setting<Raw, Value>,
) {
  return { field, ...setting };
}

/**
 * The settings of a subscription, by key. Everything that knows all settings is made from this table:
 * the type `Subscription`, the schema and the reference of the config file, the API, the dashboard and
 * `bellhook diff`. None of the settings is a secret, and a reload changes any of them.
 *
 * To add a setting, add it here, and use its field.
 */
export const SETTINGS = {
  waitForConfirmation: setting("waitForConfirmation", {
    schema: z.boolean().describe(
      "Booking Experts' choice: true repeats until the receiver confirms, false sends once and " +
        "records the answer without acting on it",
    ),
    // Without that choice, a profile always waits.
    parse: (written, profile) => profile.waitForConfirmation === undefined || written,
    ofProfile: (profile) => profile.waitForConfirmation ?? true,
  }),
  timeout: setting("timeoutMs", {
    schema: deadline.describe(
      "The deadline of one attempt: resolving, connecting, request and response together",
    ),
    parse: (written) => parseDuration(written)!,
    show: formatDuration,
    ofProfile: (profile) => profile.timeoutMs,
  }),
  retry: setting("ladder", {
    schema: z.array(duration).max(1_000).describe(
      "The waits between attempts, each from the end of the attempt before. An empty list means that " +
        "there is only one attempt",
    ),
    parse: (written): Ladder => ({ waitsMs: written.map((wait) => parseDuration(wait)!) }),
    show: shownLadder,
    ofProfile: (profile) => profile.ladder,
  }),
  jitter: setting("jitter", {
    schema: z.number().min(0).max(1).describe(
      "The largest random addition to a wait, as a share of it; 0 turns it off",
    ),
    parse: asWritten,
    builtIn: 0.1,
  }),
  success: setting("success", {
    schema: success.describe("The statuses that count as success (never 1xx, 3xx or 410)"),
    parse: (written) => parseStatusRanges(written)!,
    show: formatStatusRanges,
    ofProfile: (profile) => profile.success,
  }),
  concurrency: setting("concurrency", {
    schema: count(10_000).describe(
      "How many attempts of one subscription may run at once",
    ),
    parse: asWritten,
    builtIn: 16,
  }),
  rateLimit: setting("rateLimit", {
    schema: rateLimit.describe("How many attempts may start per second, minute, hour or day")
      .meta({ examples: ["10/s"] }),
    // Without a default there may be no limit.
    parse: (written): Rate | undefined => parseRate(written),
    show: formatRate,
  }),
  keepResponse: setting("keepResponseBytes", {
    schema: keptSize.describe(
      "How much of a successful response's body is kept, at most `64KiB`. Of others, 64KiB are kept",
    ),
    parse: (written) => parseSize(written)!,
    show: formatSize,
    builtIn: "4KiB",
  }),
  standardHeaders: setting("standardHeaders", {
    schema: z.boolean().describe(
      "Whether webhook-id, webhook-timestamp and webhook-signature are sent in addition to the profile's own headers",
    ),
    parse: asWritten,
    ofProfile: (profile) => profile.standardHeaders,
  }),
  traceparent: setting("traceparent", {
    schema: z.boolean().describe(
      "Whether requests have a traceparent header (W3C Trace Context) with their attempt's span, if " +
        "tracing is on",
    ),
    parse: asWritten,
    builtIn: false,
  }),
  allowHttp: setting("allowHttp", {
    schema: z.boolean().describe("Whether the URL may be http instead of https"),
    parse: asWritten,
    ofProfile: (profile) => profile.httpsRequired ? undefined : true,
    builtIn: false,
  }),
  allowNetworks: setting("allowNetworks", {
    schema: z.array(network).describe(
      "Networks (CIDR) that requests may go to although they are not public",
    ).meta({ examples: [["10.0.0.0/8"]] }),
    parse: asWritten,
    builtIn: [],
  }),
};

function shownLadder({ waitsMs, thenEveryMs, forMs }: Ladder): string[] {
  const waits = waitsMs.map(formatDuration);
  if (thenEveryMs === undefined) return waits;
  return [...waits, `then every ${formatDuration(thenEveryMs)} for ${formatDuration(forMs!)}`];
}

/** For a value that is used as it is written. */
function asWritten<Raw>(written: Raw): Readonly<Raw> {
  return written;
}

type Table = typeof SETTINGS;

/** The settings of a subscription, with all defaults. */
export type Settings = {
  readonly [Key in keyof Table as Table[Key]["field"]]: ReturnType<Table[Key]["parse"]>;
};

declare module "../domain/subscription.ts" {
  /** A subscription has a field for each setting of the table. */
  interface Subscription extends Settings {}
}

/** The settings that are written in a part of the file. Invalid values have been removed. */
type Written = { readonly [Key in keyof Table]?: unknown };

type AnySetting = Setting<unknown, unknown> & { readonly field: keyof Settings };

const ENTRIES = Object.entries(SETTINGS) as unknown as readonly [keyof Table, AnySetting][];

/** The keys of the settings, for the schema of a subscription and that of `delivery`. */
export const settingSchemas = Object.fromEntries(
  ENTRIES.map(([key, { schema, builtIn }]) => [
    key,
    builtIn === undefined ? schema.optional() : schema.optional().meta({ default: builtIn }),
  ]),
) as { [Key in keyof Table]: z.ZodOptional<Table[Key]["schema"]> };

/**
 * The settings of a subscription. Its own value comes first, then that of `delivery`, then the
 * default of the profile, then the built-in one. Without a known profile, those of the
 * standard one are used, so that the rest can still be checked.
 */
export function settingsOf(
  { own = {}, delivery = {}, profile = STANDARD }: {
    readonly own?: Written;
    readonly delivery?: Written;
    readonly profile?: Profile | undefined;
  },
): Settings {
  const settings: Partial<Record<keyof Settings, unknown>> = {};
  for (const [key, setting] of ENTRIES) {
    settings[setting.field] = valueOf(setting, own[key] ?? delivery[key], profile);
  }
  return settings as Settings;
}

const STANDARD = BUILT_IN.get("standard")!;

function valueOf(
  { parse, ofProfile, builtIn }: AnySetting,
  written: unknown,
  profile: Profile,
): unknown {
  if (written !== undefined) return parse(withoutGaps(written), profile);
  return ofProfile?.(profile) ?? (builtIn === undefined ? undefined : parse(builtIn, profile));
}

/** A list without the elements that were removed. A list without gaps is returned as it is. */
function withoutGaps(written: unknown): unknown {
  if (!Array.isArray(written) || !written.includes(undefined)) return written;
  return written.filter((element) => element !== undefined);
}

/** The settings by key, as they would be written in the file. One without a value is left out. */
export function shownSettings(settings: Settings): Record<string, unknown> {
  const shown = ENTRIES.map(([key, { field, show }]) => {
    const value = settings[field];
    return [key, value === undefined || show === undefined ? value : show(value)];
  });
  return Object.fromEntries(shown.filter(([, value]) => value !== undefined));
}

/** A subscription with all defaults, that matches no event yet. */
export function bareSubscription(id: string, url: string, profile: Profile): Subscription {
  return {
    id,
    url,
    events: [],
    profile,
    scope: new Map(),
    match: [],
    headers: [],
    rename: new Map(),
    enabled: true,
    settings: new Map(),
    permissions: [],
    ...settingsOf({ profile }),
  };
}
