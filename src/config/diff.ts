import { formatDuration, formatSize } from "../domain/duration.ts";
import { formatInstant } from "../domain/instant.ts";
import { NumberText } from "../domain/json_text.ts";
import { channelSecrets, type NoticeChannel } from "../domain/notice.ts";
import type { Profile } from "../domain/profile.ts";
import { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Steps, Turn } from "../runtime/turn.ts";
import { BUILT_IN } from "../profiles/table.ts";
import type { Config, Listen, Operator, Publisher } from "./config.ts";
import { formatPath } from "./problem.ts";
import { shownSettings } from "./settings.ts";

/** What a reload changes. About a secret it says only that it changed. */
export interface ConfigDiff {
  /** Subscriptions by id. */
  readonly added: readonly string[];
  readonly changed: readonly string[];
  readonly removed: readonly string[];
  /** Other keys that changed, including those that need a restart. */
  readonly settings: readonly string[];
  /** The other keys whose change only takes effect after a restart. */
  readonly needsRestart: readonly string[];
  /** The changes of subscriptions, then those of other keys. */
  readonly changes: readonly Change[];
}

/** A key of the config file whose value changed. A default counts as a value. */
export interface Change {
  /** The subscription that the key belongs to, if it belongs to one. */
  readonly subscription?: string;
  readonly key: string;
  /** As the file would say it. Left out if there was no value, or if it must not be shown. */
  readonly before?: string;
  readonly after?: string;
}

/** How the subscriptions of two configs differ. Most are the same objects, so they are compared by identity. */
export interface Replacement {
  readonly added: readonly Subscription[];
  /** Those that were read again. Before and after may still be equal. */
  readonly replaced: readonly { readonly before: Subscription; readonly after: Subscription }[];
  readonly removed: readonly Subscription[];
}

/** Compares two lists. It skips what they have in common at the start and at the end. */
export function* replacementOf(
  before: readonly Subscription[],
  after: readonly Subscription[],
): Steps<Replacement> {
  const shorter = Math.min(before.length, after.length);
  let start = 0, end = 0;
  while (start < shorter && before[start] === after[start]) start++;
  while (end < shorter - start && before.at(-1 - end) === after.at(-1 - end)) end++;
  const old = new Map<string, Subscription>();
  for (let index = start; index < before.length - end; index++) {
    old.set(before[index]!.id, before[index]!);
    if (index % A_STEP === 0) yield;
  }
  const added: Subscription[] = [];
  const replaced: { before: Subscription; after: Subscription }[] = [];
  for (let index = start; index < after.length - end; index++) {
    const now = after[index]!, then = old.get(now.id);
    if (then === undefined) added.push(now);
    else if (then !== now) replaced.push({ before: then, after: now });
    old.delete(now.id);
    if (index % A_STEP === 0) yield;
  }
  return { added, replaced, removed: [...old.values()] };
}

const A_STEP = 64;

/** Compares two configs by their effect on the daemon. Works in slices. */
export async function diffConfigs(
  before: Config,
  after: Config,
  turn: Turn,
): Promise<{ readonly diff: ConfigDiff; readonly replacement: Replacement }> {
  const replacement = await turn.run(replacementOf(before.subscriptions, after.subscriptions));
  const { added, replaced, removed } = replacement;
  const ofSubscriptions: (Change & { readonly subscription: string })[] = [];
  for (const { before, after } of replaced) {
    for (const change of changesBetween(subscriptionFacets(before), subscriptionFacets(after))) {
      ofSubscriptions.push({ subscription: after.id, ...change });
    }
    if (turn.isOver) await turn.rest();
  }
  const ofSettings = changesBetween(settingFacets(before), settingFacets(after));
  const settings = ofSettings.map((change) => change.key);
  const diff = {
    added: added.map(({ id }) => id),
    changed: [...new Set(ofSubscriptions.map((change) => change.subscription))],
    removed: removed.map(({ id }) => id),
    settings,
    needsRestart: settings.filter((key) => NEED_RESTART.includes(key)),
    changes: [...ofSubscriptions, ...ofSettings],
  };
  return { diff, replacement };
}

/** The sockets and the database are opened once. */
const NEED_RESTART: readonly string[] = [
  "server.listen",
  "server.socketMode",
  "server.socketGroup",
  "storage.url",
];

/** Whether nothing differs. */
export function isUnchanged({ added, removed, changes }: ConfigDiff): boolean {
  return added.length + removed.length + changes.length === 0;
}

/**
 * A diff for people: one line for each subscription or other key that changed. `pending` is the
 * number of waiting deliveries by subscription.
 */
export function formatDiff(
  { added, changed, removed, needsRestart, changes }: ConfigDiff,
  pending: ReadonlyMap<string, number> = new Map(),
): string[] {
  const bySubscription = Map.groupBy(changes, ({ subscription }) => subscription);
  const of = (id: string | undefined) => bySubscription.get(id) ?? [];
  return [
    ...added.map((id) => `+ ${id}`),
    ...changed.map((id) => `~ ${id}: ${of(id).map(formatChange).join(", ")}`),
    ...removed.map((id) => `- ${id}${held(pending.get(id))}`),
    ...of(undefined).map((change) => {
      const restart = needsRestart.includes(change.key) ? " (needs a restart)" : "";
      return `~ ${formatChange(change)}${restart}`;
    }),
  ];
}

function held(count = 0): string {
  if (count === 0) return "";
  const deliveries = count === 1 ? "1 delivery" : `${count} deliveries`;
  return `: ${deliveries} held until it comes back or an operator cancels`;
}

function formatChange({ key, before, after }: Change): string {
  if (before === undefined && after === undefined) return key;
  return `${key} ${before ?? "unset"} → ${after ?? "unset"}`;
}

/** The value of a key: the text that is compared, and what may be shown of it. */
interface Facet {
  readonly text: string;
  readonly shown?: string;
  readonly secrets: readonly Secret[];
}

type Facets = ReadonlyMap<string, Facet>;

function changesBetween(before: Facets, after: Facets): Change[] {
  const keys = [...new Set([...before.keys(), ...after.keys()])];
  return keys.filter((key) => !isSame(before.get(key), after.get(key))).map((key) => {
    const [from, to] = [before.get(key)?.shown, after.get(key)?.shown];
    // Two equal texts would look as if nothing had changed.
    if (from === to) return { key };
    return {
      key,
      ...(from !== undefined && { before: from }),
      ...(to !== undefined && { after: to }),
    };
  });
}

function isSame(a: Facet | undefined, b: Facet | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return a.text === b.text && a.secrets.length === b.secrets.length &&
    a.secrets.every((secret, index) => secret.equals(b.secrets[index]));
}

function shown(text: string): Facet {
  return { text, shown: text, secrets: [] };
}

function json(value: unknown): Facet {
  return shown(plain(value));
}

/** A value that is compared in full, and shown by a short name or not at all. */
function hidden(
  value: unknown,
  { secrets = [], name }: { secrets?: readonly Secret[]; name?: string } = {},
): Facet {
  return { text: plain(value), secrets, ...(name !== undefined && { shown: name }) };
}

/** A value as JSON text: maps become lists, and numbers keep their digits. */
function plain(value: unknown): string {
  return JSON.stringify(value, (_, inner) => {
    if (inner instanceof Map) return [...inner];
    if (inner instanceof NumberText) return { number: inner.text };
    return inner;
  });
}

function subscriptionFacets(subscription: Subscription): Facets {
  const { profile, secret, previousSecret, headers } = subscription;
  const values = headers.map(([, value]) => value);
  const facets: [string, Facet | undefined][] = [
    ["url", shown(subscription.url)],
    ["description", optional(subscription.description, json)],
    ["contact", optional(subscription.contact, json)],
    ["events", json(subscription.events.map((pattern) => pattern.text))],
    ["profile", hidden(profile, { name: profile.name })],
    ["secret", secret && hidden("", { secrets: [secret] })],
    [
      "previousSecret",
      previousSecret && hidden(previousSecret.until, {
        secrets: [previousSecret.secret],
        name: `until ${formatInstant(previousSecret.until)}`,
      }),
    ],
    ["scope", nonEmpty(subscription.scope.size, hidden(subscription.scope))],
    ["match", nonEmpty(subscription.match.length, hidden(subscription.match))],
    [
      "headers",
      // Only the names are shown, since even a value in the file may be a secret.
      nonEmpty(
        headers.length,
        hidden(headers, {
          secrets: values.filter((value) => value instanceof Secret),
          name: plain(headers.map(([name]) => name)),
        }),
      ),
    ],
    [
      "rename",
      nonEmpty(subscription.rename.size, json(Object.fromEntries(subscription.rename))),
    ],
    ["enabled", json(subscription.enabled)],
    ["settings", nonEmpty(subscription.settings.size, hidden(subscription.settings))],
    ["permissions", nonEmpty(subscription.permissions.length, json(subscription.permissions))],
    ...Object.entries(shownSettings(subscription)).map(([key, value]): [string, Facet] => [
      key,
      typeof value === "string" ? shown(value) : json(value),
    ]),
  ];
  return present(facets);
}

function settingFacets(config: Config): Facets {
  const { server, storage, auth } = config;
  return present([
    ["server.listen", shown(formatListen(server.listen))],
    ["server.socketMode", shown(`0${server.socketMode.toString(8).padStart(3, "0")}`)],
    ["server.socketGroup", shown(server.socketGroup ?? "none")],
    ["server.basePath", shown(server.basePath)],
    ["server.maxBody", shown(formatSize(server.maxBodyBytes))],
    ["server.shutdownGrace", shown(formatDuration(server.shutdownGraceMs))],
    ["server.trustProxy", nonEmpty(server.trustProxy?.length ?? 0, json(server.trustProxy ?? []))],
    ["auth", auth && hidden("", { name: "set" })],
    ...(auth?.publishers ?? []).map(publisherFacet),
    ...(auth?.operators ?? []).map(operatorFacet),
    ["storage.url", shown(`sqlite:${storage.path}`)],
    ["storage.keepDelivered", shown(formatDuration(storage.keepDeliveredMs))],
    ["storage.keepExhausted", shown(formatDuration(storage.keepExhaustedMs))],
    ["delivery.totalConcurrency", json(config.totalConcurrency)],
    ["notify", nonEmpty(config.notify.length, noticeFacet(config.notify))],
    ["eventTypes", config.eventTypes && hidden("", { name: "set" })],
    ["tenancy", config.tenancy && json(config.tenancy)],
    ...[...config.eventTypes ?? []].map(([name, type]): [string, Facet] => [
      formatPath(["eventTypes", name]),
      hidden(type, { name: "declared" }),
    ]),
    ...[...config.profiles].filter(([name]) => !BUILT_IN.has(name)).map(profileFacet),
  ]);
}

function publisherFacet(publisher: Publisher): [string, Facet] {
  const { name, token, types, scope, rate, maxPending } = publisher;
  const rights = { types: types?.map((type) => type.text), scope, rate, maxPending };
  return [
    formatPath(["auth", "publishers", name]),
    hidden(rights, { secrets: [token], name: "set" }),
  ];
}

function operatorFacet({ name, token }: Operator): [string, Facet] {
  return [formatPath(["auth", "operators", name]), hidden("", { secrets: [token], name: "set" })];
}

function noticeFacet(channels: readonly NoticeChannel[]): Facet {
  const secrets = channels.flatMap(channelSecrets);
  return hidden(channels, { secrets, name: channels.map(({ kind }) => kind).join(", ") });
}

function profileFacet([name, profile]: [string, Profile]): [string, Facet] {
  return [formatPath(["profiles", name]), hidden(profile, { name: "set" })];
}

function present(facets: readonly (readonly [string, Facet | undefined])[]): Facets {
  return new Map(
    facets.filter((pair): pair is [string, Facet] => pair[1] !== undefined),
  );
}

function optional<T>(value: T | undefined, facet: (value: T) => Facet): Facet | undefined {
  return value === undefined ? undefined : facet(value);
}

function nonEmpty(size: number, facet: Facet): Facet | undefined {
  return size === 0 ? undefined : facet;
}

function formatListen(listen: Listen): string {
  if (listen.kind === "unix") return `unix:${listen.path}`;
  return `${listen.host.includes(":") ? `[${listen.host}]` : listen.host}:${listen.port}`;
}
