import { createHash } from "node:crypto";
import { type Instant, parseInstant } from "../domain/instant.ts";
import type { JsonText } from "../domain/json_text.ts";
import { compilePattern } from "../domain/pattern.ts";
import type { BodyShape, Profile } from "../domain/profile.ts";
import { looksSecret, quoted } from "../domain/quoted.ts";
import { Secret } from "../domain/secret.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Steps } from "../runtime/turn.ts";
import { headerNameProblem, headerValueProblem } from "../profiles/header.ts";
import { BUILT_IN } from "../profiles/table.ts";
import { readMatch, readScope } from "./conditions.ts";
import { readContacts } from "./contacts.ts";
import { checkEvents, checkRename } from "./event_names.ts";
import { type Profiles, unknownProfile } from "./own_profiles.ts";
import { type Findings, splitFix } from "./problem.ts";
import { receiverUrlProblem } from "./receiver_url.ts";
import { type ConfigWords, DEFAULTS, type SubscriptionWords } from "./schema.ts";
import { secretFormProblem } from "./secret_form.ts";
import type { SecretReader } from "./secrets.ts";
import { settingsOf } from "./settings.ts";
import type { Sound } from "./shape.ts";
import type { Problem } from "./config.ts";
import { type Read, where } from "./memory.ts";
import { type Place, safeName } from "./source.ts";
import { nearest } from "./suggestion.ts";

/** An entry as it stands in a file, and what of it is sound. */
export interface Entry {
  readonly place: Place;
  readonly words: Sound<SubscriptionWords>;
}

/** What all subscriptions are read with. */
export interface Surroundings {
  readonly profiles: Profiles;
  /** The `delivery` block. */
  readonly defaults: NonNullable<Sound<ConfigWords>["delivery"]>;
  /** The publisher's types; undefined where any is taken. */
  readonly declared: ReadonlySet<string> | undefined;
  /** The key that every subscription's scope must name; undefined where there is none. */
  readonly tenancyKey?: string;
  readonly secrets: SecretReader;
  /** Whether `notify` has a mail channel. */
  readonly hasMail: boolean;
  readonly now: Instant;
  readonly findings: Findings;
}

/** Those that are sound enough to be made; what is wrong between any two is found. */
export function* allOf(reads: readonly Read[], findings: Findings): Steps<Subscription[]> {
  const subscriptions: Subscription[] = [];
  const ids = new Set<string>(), works = new Set<string>();
  // Hardly ever needed.
  let firstById: ReadonlyMap<string | undefined, Read> | undefined;
  let firstByWork: typeof firstById;
  for (const [index, read] of reads.entries()) {
    if (read.subscription) subscriptions.push(read.subscription);
    if (!isFirst(read.id, ids)) {
      findings.add(takenId(read, (firstById ??= firstOfEach(reads, ({ id }) => id)).get(read.id)!));
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

/** What is not known is like nothing else. */
function isFirst(value: string | undefined, met: Set<string>): boolean {
  if (value === undefined) return true;
  const { size } = met;
  return met.add(value).size > size;
}

/** Reads an entry; what is wrong with it is found. */
export async function readEntry(entry: Entry, surroundings: Surroundings): Promise<Read> {
  const { place, words } = entry;
  return {
    subscription: await readSubscription(entry, surroundings),
    id: words.id,
    idAt: place.at("id").mark(),
    work: workOf(words),
    at: place.mark(),
  };
}

function firstOfEach<Key>(reads: readonly Read[], key: (read: Read) => Key): Map<Key, Read> {
  return new Map(reads.toReversed().map((read) => [key(read), read]));
}

function takenId({ id, idAt }: Read, first: Read): Problem {
  return {
    ...idAt,
    message: `the id ${quoted(id!)} is taken by another subscription, ${where(first.idAt, idAt)}`,
    fix: "give this one an id of its own",
  };
}

/** Entries that differ in nothing but their id send everything twice; hardly anybody means that. */
function doubleOf({ at }: Read, first: Read): Problem {
  return {
    ...at,
    message: `another subscription sends the same events to the same URL, ${where(first.at, at)}`,
    fix: "take one of them out if that is not meant",
  };
}

function workOf({ url, events, scope, match, profile }: Entry["words"]): string | undefined {
  if (url === undefined || events === undefined) return undefined;
  const work = JSON.stringify([url, events, scope, match, profile]);
  // Ten thousands are remembered, and most are longer than a hash.
  return createHash("sha256").update(work).digest("base64");
}

/** Settings are read with it where the profile isn't known: what else is wrong is found all the same. */
const STANDARD = BUILT_IN.get(DEFAULTS.profile)!;

async function readSubscription(
  { place, words }: Entry,
  surroundings: Surroundings,
): Promise<Subscription | undefined> {
  const { findings, defaults } = surroundings;
  const profile = profileOf(words, place, surroundings);
  const rename = readRename(place.at("rename"));
  const names = { declared: surroundings.declared, profile, rename };
  const patterns = (words.events ?? []).filter((pattern) => pattern !== undefined);
  checkEvents(place.at("events"), names, findings);
  checkRename(place.at("rename"), { patterns, names }, findings);
  checkPermissions(place, { words, profile, rename }, findings);
  checkScope(place.at("scope"), profile, surroundings);
  const settings = readSettings(place.at("settings"), profile, findings);
  const match = readMatch(place.at("match"), findings);
  const inForce = settingsOf({ own: words, delivery: defaults, profile: profile ?? STANDARD });
  const allowed = { http: inForce.allowHttp, networks: inForce.allowNetworks, where: "" };
  if (words.url !== undefined) {
    const problem = receiverUrlProblem(words.url, allowed, place.at("url"));
    if (problem) findings.add(problem);
  }
  checkConfirmation(words, profile, place, findings);
  const secret = await readSecret({ place, words, profile }, surroundings);
  const previousSecret = await readPreviousSecret({ place, words, profile }, surroundings);
  const means = { allowed, secret, hasMail: surroundings.hasMail };
  const contact = readContacts(place.at("contact"), means, findings);
  const headers = await readHeaders(place.at("headers"), { words, profile }, surroundings);
  if (inForce.traceparent) checkTraceparent(place.at("headers"), profile, findings);
  if (profile === undefined || words.id === undefined || words.url === undefined) return undefined;
  if (secret !== undefined && !inForce.standardHeaders && profile.signature === undefined) {
    findings.warn(
      place.at(words.standardHeaders === undefined ? "id" : "standardHeaders").problem(
        `without the standard headers nothing is signed: profile ${quoted(profile.name)} has no ` +
          "signature of its own",
        'take "standardHeaders": false out',
      ),
    );
  }
  return {
    id: words.id,
    url: words.url,
    ...(words.description !== undefined && { description: words.description }),
    ...(contact.length > 0 && { contact }),
    events: patterns.map(compilePattern),
    profile,
    ...(secret && { secret }),
    ...(previousSecret && { previousSecret }),
    scope: readScope(place.at("scope")),
    match,
    headers,
    rename,
    enabled: words.enabled ?? true,
    settings,
    permissions: (words.permissions ?? []).filter((one) => one !== undefined),
    ...inForce,
  };
}

/** The profile; undefined where there is none of that name, or its own words are wrong. */
function profileOf(
  words: Entry["words"],
  place: Place,
  { profiles, defaults, findings }: Surroundings,
): Profile | undefined {
  const name = words.profile ?? (place.at("profile").exists ? undefined : defaults.profile ??
    DEFAULTS.profile);
  if (name === undefined) return undefined;
  if (words.profile !== undefined && !profiles.has(name)) {
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

/** One for all: an empty map of its own takes more room than all else of a subscription. */
const NO_ENTRIES: ReadonlyMap<string, never> = new Map<string, never>();

interface Parts {
  readonly place: Place;
  readonly words: Entry["words"];
  readonly profile: Profile | undefined;
}

function checkPermissions(
  place: Place,
  { words, profile, rename }: Omit<Parts, "place"> & { rename: ReadonlyMap<string, string> },
  findings: Findings,
): void {
  const { permissions } = words;
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
  for (const [index, pattern] of (words.events ?? []).entries()) {
    if (pattern === undefined) continue;
    const resource = (rename.get(pattern) ?? pattern).split(/[:|]/, 1)[0]!;
    if (resource.includes("*") || permissions.includes(resource)) continue;
    const message = `nothing is delivered for this: ${
      quoted(resource)
    } is not among the permissions`;
    findings.warn(place.at("events", index).problem(message, 'add it to "permissions"'));
  }
}

/** Whoever names no customer would get everybody's events: that is to be said in so many words. */
function checkScope(
  place: Place,
  profile: Profile | undefined,
  { tenancyKey, findings }: Surroundings,
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

function readSettings(
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
  words: Entry["words"],
  profile: Profile | undefined,
  place: Place,
  findings: Findings,
): void {
  if (words.waitForConfirmation === undefined || profile === undefined) return;
  if (profile.waitForConfirmation !== undefined) return;
  const message = `profile ${quoted(profile.name)} knows no choice of waiting for confirmation`;
  findings.add(place.at("waitForConfirmation").problem(message, "take it out"));
}

async function readSecret(
  { place, words, profile }: Parts,
  surroundings: Surroundings,
): Promise<Secret | undefined> {
  if (place.at("secret").exists) {
    return await readKey(words.secret, place.at("secret"), { profile, surroundings });
  }
  if (profile?.secretRequired && !place.at("previousSecret").exists) {
    surroundings.findings.warn(
      place.at("secret").problem(
        `without a secret its requests go out unsigned: profile ${
          quoted(profile.name)
        } has receivers check`,
        'name where it is to be found: "secret": {"env": "NAME"}',
      ),
    );
  } else if (place.at("previousSecret").exists) {
    surroundings.findings.add(
      place.at("secret").problem(
        "there is a previous secret, but none that follows it",
        'add "secret", or rename "previousSecret"',
      ),
    );
  }
  return undefined;
}

async function readPreviousSecret(
  { place, words, profile }: Parts,
  surroundings: Surroundings,
): Promise<Subscription["previousSecret"]> {
  const { findings, now } = surroundings;
  const at = place.at("previousSecret");
  const until = parseInstant(words.previousSecret?.until ?? "");
  const secret = await readKey(words.previousSecret, at, { profile, surroundings });
  if (until !== undefined && until <= now) {
    const message = "the previous secret's time is over: it signs no more";
    findings.warn(at.at("until").problem(message, 'take "previousSecret" out'));
  }
  if (at.exists && profile?.signature !== undefined && profile.signature.separator === undefined) {
    findings.warn(at.problem(
      `${
        quoted(profile.signature.header)
      } has room for one signature, so only "secret" makes it; ` +
        "the previous one signs in webhook-signature alone",
      "change the receiver's secret and this one at the same time",
    ));
  }
  return secret && until !== undefined ? { secret, until } : undefined;
}

async function readKey(
  reference: Parameters<SecretReader["read"]>[0],
  place: Place,
  { profile, surroundings }: { profile: Profile | undefined; surroundings: Surroundings },
): Promise<Secret | undefined> {
  const found = await surroundings.secrets.read(reference, place);
  if (found === undefined) return undefined;
  if (!(found instanceof Secret)) {
    surroundings.findings.add(found);
    return undefined;
  }
  const fault = profile && secretFormProblem(found.reveal(), profile);
  if (!fault) return found;
  surroundings.findings.add(place.problem(fault.message, fault.fix));
  return undefined;
}

/** Names under which secrets travel; a text there is most likely one. */
const TELLING_NAMES =
  /^(authorization|proxy-authorization|cookie|x-api-key|api-key|x-auth-token)$/i;

async function readHeaders(
  place: Place,
  { words, profile }: Omit<Parts, "place">,
  { secrets, findings }: Surroundings,
): Promise<Subscription["headers"]> {
  const headers: [string, string | Secret][] = [];
  const seen = new Set<string>();
  for (const [name, at] of place.members()) {
    const fault = headerNameProblem(name) ?? ownHeaderProblem(name, profile);
    const found = fault !== undefined
      ? splitFix(fault)
      : seen.has(name.toLowerCase())
      ? { message: `the header ${quoted(name)} is given twice`, fix: "keep one of them" }
      : undefined;
    if (found) findings.add(place.problemAtKey(name, found.message, found.fix));
    seen.add(name.toLowerCase());
    const wanted = words.headers?.[safeName(name)];
    if (wanted === undefined) continue;
    const value = typeof wanted === "string" ? wanted : await secrets.read(wanted, at);
    if (value === undefined) continue;
    if (typeof value !== "string" && !(value instanceof Secret)) {
      findings.add(value);
      continue;
    }
    const wrong = headerValueProblem(typeof value === "string" ? value : value.reveal());
    if (typeof value === "string" && value.split(" ").some(looksSecret)) {
      const fix = 'name where it is to be found: {"env": "NAME"}';
      findings.add(at.problem("a secret is written into the file", fix));
    } else if (wrong !== undefined) {
      const { message, fix } = splitFix(wrong);
      findings.add(at.problem(message, fix));
    } else if (typeof value === "string" && TELLING_NAMES.test(name)) {
      const message = `the value of ${quoted(name)} is written into the file, and shown by the API`;
      findings.warn(at.problem(message, 'if it is a secret, write {"env": "NAME"} instead'));
    }
    headers.push([name, value]);
  }
  return headers;
}

function ownHeaderProblem(name: string, profile: Profile | undefined): string | undefined {
  if (profile === undefined) return undefined;
  const same = (other: string) => other.toLowerCase() === name.toLowerCase();
  const own = profile.headers.some(([other]) => same(other)) ||
    profile.signature !== undefined && same(profile.signature.header);
  return own
    ? `profile ${quoted(profile.name)} writes the header ${quoted(name)} itself; take it out`
    : undefined;
}

/** A request has one of it: the attempt's. */
function checkTraceparent(headers: Place, profile: Profile | undefined, findings: Findings): void {
  const isIt = (name: string) => name.toLowerCase() === "traceparent";
  for (const [name] of headers.members()) {
    if (!isIt(name)) continue;
    const message = `"traceparent" is true, so that Bellhook writes the header ${quoted(name)}`;
    findings.add(headers.problemAtKey(name, message, "take one of the two out"));
  }
  if (profile?.headers.some(([name]) => isIt(name))) {
    const message = `profile ${quoted(profile.name)} writes the header "traceparent" itself`;
    findings.add(headers.problem(message, 'take "traceparent": true out'));
  }
}
