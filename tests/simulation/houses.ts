import type { Config } from "../../src/config/config.ts";
import { NumberText } from "../../src/domain/json_text.ts";
import { HOUSE_LADDER, type Ladder } from "../../src/domain/ladder.ts";
import type { NoticeChannel } from "../../src/domain/notice.ts";
import { compilePattern } from "../../src/domain/pattern.ts";
import type { Profile } from "../../src/domain/profile.ts";
import { Secret } from "../../src/domain/secret.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { aConfig } from "../support/a_config.ts";
import { A_SECRET, aSubscription } from "../support/a_subscription.ts";
import type { Chance } from "./chance.ts";

export const TYPES = ["booking.created", "booking.cancelled", "invoice.paid"] as const;

const PATTERNS = [["*"], ["booking.*"], ["invoice.paid"], ["booking.created", "invoice.*"]];

/** The sources of events. */
export const VENUES = [`"1"`, `"2"`, `"3"`] as const;

/** The two totals that events have: a double can't tell them apart. */
export const TOTALS = ["9007199254740992", "9007199254740993"] as const;

const GREATER_TOTAL: Subscription["match"] = [{
  path: "total",
  anyOf: [{
    kind: "operators",
    operators: [{ name: ">", operand: new NumberText(TOTALS[0]) }],
  }],
}];

/** A profile with a different body and headers, and its own id for deduplication. */
const OTHER: Profile = {
  ...BUILT_IN.get("standard")!,
  name: "other",
  body: [
    ["event", { kind: "from", source: "type", as: "iso", whenMissing: "null" }],
    ["at", { kind: "from", source: "timestamp", as: "unixMs", whenMissing: "null" }],
    ["record", { kind: "from", source: "data", as: "iso", whenMissing: "null" }],
    ["setting", { kind: "from", source: "settings.colour", as: "iso", whenMissing: "null" }],
  ],
  headers: [["Idempotency-Key", "{uuid}"]],
};

const LADDERS: readonly Ladder[] = [
  { waitsMs: [] },
  { waitsMs: [1_000] },
  { waitsMs: [1_000, 5_000, 20_000] },
  { waitsMs: [10, 250, 1_000, 3_000, 9_000, 27_000] },
  { waitsMs: [10_000, 60_000, 240_000] },
  { waitsMs: [60_000, 30_000] },
  { waitsMs: [5_000], thenEveryMs: 20_000, forMs: 180_000 },
];

/** A config to start a run with. */
export function anyHouse(chance: Chance): Config {
  const ids = ["s1", "s2", "s3", "s4", "s5"].slice(0, chance.whole(1, 5));
  return aConfig({
    storage: { ...aConfig().storage, keepDeliveredMs: DECADE_MS, keepExhaustedMs: DECADE_MS },
    server: { ...aConfig().server, shutdownGraceMs: chance.pick([0, 2_000, 20_000]) },
    totalConcurrency: chance.pick([1, 2, 4, 256]),
    subscriptions: ids.map((id) => anySubscription(id, chance)),
    notify: [CHANNEL],
  });
}

export const OPERATORS_URL = "https://operators.example/notices";

/** The URL for notices. */
export const CHANNEL: NoticeChannel = {
  kind: "webhook",
  url: OPERATORS_URL,
  secret: new Secret(A_SECRET.reveal()),
  on: [
    "subscription.failing",
    "subscription.recovered",
    "subscription.paused",
    "delivery.exhausted",
    "config.rejected",
  ],
};

const DECADE_MS = 3_650 * 86_400_000;

export function anySubscription(id: string, chance: Chance): Subscription {
  return aSubscription({
    id,
    url: anyUrl(id, chance),
    events: chance.pick(PATTERNS).map(compilePattern),
    profile: anyProfile(chance),
    scope: chance.happens(0.2)
      ? new Map([["venue_id", chance.pick([VENUES.slice(0, 1), VENUES.slice(1)])]])
      : new Map(),
    match: chance.happens(0.1) ? GREATER_TOTAL : [],
    settings: new Map([["colour", `"${chance.pick(["red", "blue"])}"`]]),
    ladder: anyLadder(chance),
    jitter: chance.pick([0, 0.1, 1]),
    success: chance.pick([[[200, 299]], [[200, 200]]]),
    waitForConfirmation: !chance.happens(0.08),
    timeoutMs: chance.pick([1_000, 5_000, 30_000]),
    concurrency: chance.pick([1, 2, 3, 16]),
    enabled: !chance.happens(0.1),
    ...(chance.happens(0.3) ? { rateLimit: anyRateLimit(chance) } : {}),
  });
}

/** The config with one change. */
export function otherwise(config: Config, chance: Chance): Config {
  const { subscriptions } = config;
  const one = subscriptions.length > 0 ? chance.pick(subscriptions) : undefined;
  const changed = (change: Partial<Subscription>) => ({
    ...config,
    subscriptions: subscriptions.map((each) => each === one ? { ...each, ...change } : each),
  });
  switch (chance.weighed(CHANGES)) {
    case "add": {
      const unused = ["s1", "s2", "s3", "s4", "s5", "s6"].filter((id) =>
        !subscriptions.some((each) => each.id === id)
      );
      if (unused.length === 0) return config;
      const added = anySubscription(chance.pick(unused), chance);
      return { ...config, subscriptions: [...subscriptions, added] };
    }
    case "remove":
      return { ...config, subscriptions: subscriptions.filter((each) => each !== one) };
    case "enabled":
      return changed({ enabled: !one?.enabled });
    case "ladder":
      return changed({ ladder: anyLadder(chance) });
    case "profile":
      return changed({
        profile: anyProfile(chance),
        settings: new Map([["colour", `"${chance.pick(["red", "blue"])}"`]]),
      });
    case "url":
      return one ? changed({ url: anyUrl(one.id, chance) }) : config;
    case "limits":
      return changed({
        concurrency: chance.pick([1, 2, 16]),
        timeoutMs: chance.pick([1_000, 10_000]),
      });
    case "rateLimit": {
      const { rateLimit: _, ...unlimited } = one ?? {};
      const other = one?.rateLimit && chance.happens(0.5)
        ? unlimited as Subscription
        : { ...one!, rateLimit: anyRateLimit(chance) };
      return {
        ...config,
        subscriptions: subscriptions.map((each) => each === one ? other : each),
      };
    }
    case "events":
      return changed({ events: chance.pick(PATTERNS).map(compilePattern) });
    case "total":
      return { ...config, totalConcurrency: chance.pick([1, 3, 256]) };
  }
}

const CHANGES = {
  add: 2,
  remove: 2,
  enabled: 3,
  ladder: 2,
  profile: 2,
  url: 1,
  limits: 1,
  rateLimit: 1,
  events: 1,
  total: 1,
};

/** The config with all subscriptions of a run enabled, so that nothing is held. */
export function healed(config: Config, known: Iterable<string>, chance: Chance): Config {
  const has = new Set(config.subscriptions.map(({ id }) => id));
  const lost = [...known].filter((id) => !has.has(id)).sort();
  const all = [...config.subscriptions, ...lost.map((id) => anySubscription(id, chance))];
  return { ...config, subscriptions: all.map((each) => ({ ...each, enabled: true })) };
}

function anyProfile(chance: Chance): Profile {
  return chance.pick([BUILT_IN.get("standard")!, OTHER]);
}

function anyLadder(chance: Chance): Ladder {
  if (chance.happens(0.02)) return { waitsMs: HOUSE_LADDER.waitsMs.slice(0, 3) };
  return chance.happens(0.000_5) ? HOUSE_LADDER : chance.pick(LADDERS);
}

function anyUrl(id: string, chance: Chance): string {
  return `https://${id}-${chance.pick(["a", "a", "b"])}.example/hook`;
}

function anyRateLimit(chance: Chance): NonNullable<Subscription["rateLimit"]> {
  return { count: chance.pick([1, 3, 10]), perMs: chance.pick([1_000, 7_000]) };
}
