import { createHash } from "node:crypto";
import type { Instant } from "../domain/instant.ts";
import type { JsonText } from "../domain/json_text.ts";
import { compilePattern } from "../domain/pattern.ts";
import type { BodyShape, Profile } from "../domain/profile.ts";
import { quoted } from "../domain/quoted.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Steps } from "../runtime/turn.ts";
import { readMatch, readScope } from "./conditions.ts";
import type { Problem } from "./config.ts";
import { readContacts } from "./contacts.ts";
import { checkEvents, checkRename, type Names } from "./event_names.ts";
import { checkTraceparent, readHeaders } from "./headers.ts";
import { type ReadEntry, where } from "./memory.ts";
import { type Profiles, unknownProfile } from "./own_profiles.ts";
import type { Findings } from "./problem.ts";
import { type Allowed, receiverUrlProblem } from "./receiver_url.ts";
import { DEFAULTS, type RawConfig, type RawSubscription } from "./schema.ts";
import type { SecretReader } from "./secrets.ts";
import { type Settings, settingsOf } from "./settings.ts";
import type { PartlyValid } from "./shape.ts";
import { readSigningSecrets } from "./signing_secrets.ts";
import type { Place } from "./source.ts";
import { nearest } from "./suggestion.ts";

/** A subscription as it is written in a file: its place, and the valid parts of it. */
export interface Entry {
  readonly place: Place;
  readonly raw: PartlyValid<RawSubscription>;
}

/** What all subscriptions are read with. */
export interface SubscriptionContext {
  readonly profiles: Profiles;
  /** The `delivery` block. */
  readonly delivery: NonNullable<PartlyValid<RawConfig>["delivery"]>;
  /** The publisher's event types. Undefined if any type is accepted. */
  readonly declared: ReadonlySet<string> | undefined;
  /** The key that the scope of every subscription must name, if there is one. */
  readonly tenancyKey?: string;
  readonly secrets: SecretReader;
  /** Whether `notify` has a mail channel. */
  readonly hasMail: boolean;
  readonly now: Instant;
  readonly findings: Findings;
}

/** All subscriptions that could be made. Reports ids that are taken, and subscriptions that do the same. */
export function* subscriptionsOf(
  reads: readonly ReadEntry[],
  findings: Findings,
): Steps<Subscription[]> {
  const subscriptions: Subscription[] = [];
  const ids = new Set<string>(), works = new Set<string>();
  // Hardly ever needed.
  let firstById: ReadonlyMap<string | undefined, ReadEntry> | undefined;
  let firstByWork: typeof firstById;
  for (const [index, read] of reads.entries()) {
    if (read.subscription) subscriptions.push(read.subscription);
    if (!isFirst(read.id, ids)) {
      firstById ??= firstOfEach(reads, ({ id }) => id);
      findings.add(takenId(read, firstById.get(read.id)!));
    }
    if (!isFirst(read.work, works)) {
      firstByWork ??= firstOfEach(reads, ({ work }) => work);
      findings.warn(doubleOf(read, firstByWork.get(read.work)!));
    }
    if (index % READS_A_STEP === 0) yield;
  }
  return subscriptions;
}

const READS_A_STEP = 64;

/** Whether it is seen for the first time. An unknown value always is. */
function isFirst(value: string | undefined, seen: Set<string>): boolean {
  if (value === undefined) return true;
  const { size } = seen;
  return seen.add(value).size > size;
}

function firstOfEach<Key>(
  reads: readonly ReadEntry[],
  key: (read: ReadEntry) => Key,
): Map<Key, ReadEntry> {
  return new Map(reads.toReversed().map((read) => [key(read), read]));
}

function takenId({ id, idAt }: ReadEntry, first: ReadEntry): Problem {
  return {
    ...idAt,
    message: `the id ${quoted(id!)} is taken by another subscription, ${where(first.idAt, idAt)}`,
    fix: "give this one an id of its own",
  };
}

/** Subscriptions that differ only in their id send every event twice, which is rarely wanted. */
function doubleOf({ at }: ReadEntry, first: ReadEntry): Problem {
  return {
    ...at,
    message: `another subscription sends the same events to the same URL, ${where(first.at, at)}`,
    fix: "take one of them out if that is not meant",
  };
}

/** Reads an entry, and reports what is wrong with it. */
export async function readEntry(entry: Entry, context: SubscriptionContext): Promise<ReadEntry> {
  const { place, raw } = entry;
  return {
    subscription: await readSubscription(entry, context),
    id: raw.id,
    idAt: place.at("id").mark(),
    work: workOf(raw),
    at: place.mark(),
  };
}

function workOf({ url, events, scope, match, profile }: Entry["raw"]): string | undefined {
  if (url === undefined || events === undefined) return undefined;
  const work = JSON.stringify([url, events, scope, match, profile]);
  // Tens of thousands are kept in memory, and most are longer than a hash.
  return createHash("sha256").update(work).digest("base64");
}

async function readSubscription(
  { place, raw }: Entry,
  context: SubscriptionContext,
): Promise<Subscription | undefined> {
  const { declared, delivery, hasMail, secrets, now, findings } = context;
  const profile = profileOf(raw, place, context);
  const settings = settingsOf({ own: raw, delivery, profile });
  const allowed = { http: settings.allowHttp, networks: settings.allowNetworks, where: "" };
  const names = { declared, profile, rename: readRename(place.at("rename")) };
  const patterns = (raw.events ?? []).filter((pattern) => pattern !== undefined);
  checkEvents(place.at("events"), names, findings);
  checkRename(place.at("rename"), { patterns, names }, findings);
  checkPermissions({ place, raw }, names, findings);
  checkScope(place.at("scope"), profile, context);
  checkUrl({ place, raw }, allowed, findings);
  checkConfirmation({ place, raw }, profile, findings);
  const keys = await readSigningSecrets(place, raw, { profile, secrets, now, findings });
  const means = { allowed, secret: keys.secret, hasMail };
  const contact = readContacts(place.at("contact"), means, findings);
  const headers = await readHeaders(place.at("headers"), raw.headers, {
    profile,
    secrets,
    findings,
  });
  if (settings.traceparent) checkTraceparent(place.at("headers"), profile, findings);
  const values = readProfileSettings(place.at("settings"), profile, findings);
  const match = readMatch(place.at("match"), findings);
  if (profile === undefined || raw.id === undefined || raw.url === undefined) return undefined;
  if (keys.secret) checkIsSigned({ place, raw }, { profile, settings }, findings);
  return {
    id: raw.id,
    url: raw.url,
    ...(raw.description !== undefined && { description: raw.description }),
    ...(contact.length > 0 && { contact }),
    events: patterns.map(compilePattern),
    profile,
    ...keys,
    scope: readScope(place.at("scope")),
    match,
    headers,
    rename: names.rename,
    enabled: raw.enabled ?? true,
    settings: values,
    permissions: (raw.permissions ?? []).filter((one) => one !== undefined),
    ...settings,
  };
}

function checkUrl({ place, raw }: Entry, allowed: Allowed, findings: Findings): void {
  if (raw.url === undefined) return;
  const problem = receiverUrlProblem(raw.url, allowed, place.at("url"));
  if (problem) findings.add(problem);
}

/** Warns of a secret that nothing is signed with. */
function checkIsSigned(
  { place, raw }: Entry,
  { profile, settings }: { readonly profile: Profile; readonly settings: Settings },
  findings: Findings,
): void {
  if (settings.standardHeaders || profile.signature !== undefined) return;
  const at = place.at(raw.standardHeaders === undefined ? "id" : "standardHeaders");
  findings.warn(at.problem(
    `without the standard headers nothing is signed: profile ${quoted(profile.name)} has no ` +
      "signature of its own",
    'take "standardHeaders": false out',
  ));
}

/** The profile. Undefined if there is none of that name, or if the profile itself is wrong. */
function profileOf(
  raw: Entry["raw"],
  place: Place,
  { profiles, delivery, findings }: SubscriptionContext,
): Profile | undefined {
  const isWrong = raw.profile === undefined && place.at("profile").exists;
  if (isWrong) return undefined;
  const name = raw.profile ?? delivery.profile ?? DEFAULTS.profile;
  if (raw.profile !== undefined && !profiles.has(name)) {
    findings.add(unknownProfile(name, place.at("profile"), profiles.keys()));
  }
  return profiles.get(name);
}

function readRename(place: Place): ReadonlyMap<string, string> {
  if (!place.exists) return NO_ENTRIES;
  return new Map(
    place.members().map(([from, to]): [string, unknown] => [from, to.value()])
      .filter((pair): pair is [string, string] => typeof pair[1] === "string"),
  );
}

/** All share it: an empty map of its own takes more memory than the rest of a subscription. */
const NO_ENTRIES: ReadonlyMap<string, never> = new Map<string, never>();

function checkPermissions(
  { place, raw }: Entry,
  { profile, rename }: Names,
  findings: Findings,
): void {
  const { permissions } = raw;
  if (profile === undefined) return;
  if (!profile.admission.some((rule) => rule.kind === "permission")) {
    if (permissions === undefined) return;
    const message = `profile ${quoted(profile.name)} asks for no permissions`;
    findings.warn(place.at("permissions").problem(message, "take them out"));
    return;
  }
  if (!place.at("permissions").exists || permissions?.length === 0) {
    const message = `profile ${quoted(profile.name)} delivers nothing without permissions`;
    findings.warn(
      place.at("permissions").problem(
        message,
        'list the resources it may read: "permissions": ["reservation"]',
      ),
    );
    return;
  }
  if (permissions === undefined || permissions.includes(undefined)) return;
  for (const [index, pattern] of (raw.events ?? []).entries()) {
    if (pattern === undefined) continue;
    const resource = (rename.get(pattern) ?? pattern).split(/[:|]/, 1)[0]!;
    if (resource.includes("*") || permissions.includes(resource)) continue;
    const message = `nothing is delivered for this: ${
      quoted(resource)
    } is not among the permissions`;
    findings.warn(place.at("events", index).problem(message, 'add it to "permissions"'));
  }
}

/** A subscription that names no customer would get the events of all: it must say that this is meant. */
function checkScope(
  place: Place,
  profile: Profile | undefined,
  { tenancyKey, findings }: SubscriptionContext,
): void {
  if (place.exists && place.kind !== "object") return;
  const fix = (key: string) =>
    `add "scope": {${quoted(key)}: …}, or {${quoted(key)}: "*"} if the events of all are meant`;
  if (tenancyKey !== undefined && !place.at(tenancyKey).exists) {
    findings.add(place.problem(
      `the scope does not name ${quoted(tenancyKey)}, which "tenancy" asks of every subscription`,
      fix(tenancyKey),
    ));
  }
  const [first, ...others] = profile?.requiredScope ?? [];
  if (first === undefined || [first, ...others].some((key) => place.at(key).exists)) return;
  const keys = [first, ...others].map(quoted).join(" or ");
  findings.add(place.problem(
    `the scope does not name ${keys}: profile ${
      quoted(profile!.name)
    } would send the events of all ` +
      "to this receiver",
    fix(first),
  ));
}

/** What the profile's body takes from the subscription. */
function readProfileSettings(
  place: Place,
  profile: Profile | undefined,
  findings: Findings,
): ReadonlyMap<string, JsonText> {
  const settings = new Map<string, JsonText>();
  const members = place.members();
  const used = profile && members.length > 0
    ? [...profile.requiredSettings, ...settingsIn(profile.body)]
    : [];
  for (const [name, at] of members) {
    const json = at.tryJson();
    if (typeof json === "string") settings.set(name, json);
    else findings.add(json);
    if (profile === undefined || used.includes(name)) continue;
    const near = nearest(name, used.filter((one) => !place.at(one).exists));
    const message = `profile ${quoted(profile.name)} has no use for the setting ${quoted(name)}`;
    const fix = near === undefined ? "take it out" : `did you mean ${quoted(near)}?`;
    findings.warn(place.problemAtKey(name, message, fix));
  }
  for (const name of profile?.requiredSettings ?? []) {
    if (place.exists && place.kind !== "object") continue;
    if (/^["\d-]/.test(settings.get(name) ?? "")) continue;
    const kind = settings.has(name) ? " as a text or a number" : "";
    const message = `profile ${quoted(profile!.name)} needs the setting ${quoted(name)}${kind}`;
    findings.add(place.at(name).problem(message, `add "settings": {${quoted(name)}: …}`));
  }
  return settings.size > 0 ? settings : NO_ENTRIES;
}

function settingsIn(shape: BodyShape): string[] {
  return shape.flatMap(([, value]) => {
    if (value.kind === "object") return settingsIn(value.members);
    return value.kind === "from" && value.source.startsWith("settings.")
      ? [value.source.slice("settings.".length)]
      : [];
  });
}

function checkConfirmation(
  { place, raw }: Entry,
  profile: Profile | undefined,
  findings: Findings,
): void {
  if (raw.waitForConfirmation === undefined || profile === undefined) return;
  if (profile.waitForConfirmation !== undefined) return;
  const message = `profile ${quoted(profile.name)} knows no choice of waiting for confirmation`;
  findings.add(place.at("waitForConfirmation").problem(message, "take it out"));
}
