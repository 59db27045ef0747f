import { distance } from "fastest-levenshtein";
import * as z from "zod";
import { LONGEST_TYPE, type Scope, VISIBLE } from "../domain/event.ts";
import { HALF_CHARACTER, halfCharacterIn, type Way } from "../domain/half_characters.ts";
import { type Instant, parseInstant } from "../domain/instant.ts";
import {
  assertJson,
  elementsOf,
  type JsonText,
  JsonTextError,
  membersOf,
} from "../domain/json_text.ts";
import { finished, type Steps } from "../runtime/turn.ts";

/** The most events one request may hold. */
export const MAX_EVENTS = 1_000;

const NOT_SCALAR = "must be a string, a number, a boolean or null";
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()], { error: NOT_SCALAR });

const id = z.string().min(1).max(256).regex(VISIBLE, "must not hold spaces or control characters")
  // URL parsers resolve these two as path segments, so no URL could contain such an id.
  .refine((text) => text !== "." && text !== "..", "must not be . or ..");

const type = z.string().min(1).max(LONGEST_TYPE)
  .regex(VISIBLE, "must not hold spaces or control characters")
  .describe("What kind of thing happened, as in booking.created");

/** An event as a publisher posts it. */
export const postedEventSchema = z.strictObject({
  id: id.optional()
    .describe("The publisher's own id for the event; makes it safe to post again"),
  type,
  timestamp: z.string().refine((text) => parseInstant(text) !== undefined, {
    error: 'must be an RFC 3339 instant, as in "2024-03-15T10:30:00Z"',
  }).meta({ format: "date-time" }).optional()
    .describe("When it happened; defaults to when it was accepted"),
  scope: z.record(z.string().min(1).max(256), scalar).optional()
    .describe("What the event belongs to: a venue, an account"),
  data: z.json().describe("The event's data; sent unchanged, with every digit kept"),
  metadata: z.json().optional().describe("More about the event, for profiles that send it"),
}).describe("An event");

/** A CloudEvents 1.0 event in the JSON format (cloudevents.io, json-format 1.0.2). */
export const cloudEventSchema = z.looseObject({
  specversion: z.literal("1.0", { error: 'must be "1.0"' }),
  id,
  source: z.string().min(1),
  type,
  subject: z.string().min(1).optional(),
  time: z.string().refine((text) => parseInstant(text) !== undefined, {
    error: "must be an RFC 3339 instant",
  }).meta({ format: "date-time" }).optional(),
  datacontenttype: z.string().optional(),
  dataschema: z.string().optional(),
  data: z.json().optional(),
  data_base64: z.undefined({ error: "binary data can't be sent as JSON; put it into data" })
    .optional(),
}).describe("A CloudEvents 1.0 event; source, subject and extensions become its scope");

/** One event as a publisher posted it. JSON texts are compact, with every digit kept. */
export interface PostedEvent {
  readonly id?: string;
  /** A CloudEvent's source: its id is unique only within this source. */
  readonly source?: string;
  readonly type: string;
  readonly occurredAt?: Instant;
  readonly scope: Scope;
  readonly data: JsonText;
  readonly metadata?: JsonText;
}

/** What is wrong with a request, and where. */
export interface Fault {
  /** For example `[2].scope.venue_id`; empty for the whole body. */
  readonly path: string;
  readonly message: string;
}

export type Parsed =
  | { readonly kind: "parsed"; readonly events: readonly PostedEvent[]; readonly isArray: boolean }
  /** Not JSON. */
  | { readonly kind: "malformed"; readonly message: string }
  /** JSON, but not an event. */
  | { readonly kind: "invalid"; readonly faults: readonly Fault[] };

/** Reads a request's body: one event or an array of them. */
export function parseEvents(text: string, format: Format): Parsed {
  return finished(parsingSteps(text, format));
}

type Format = "events" | "cloudevents";

/** Like `parseEvents`, but yields after each event of an array. */
export function* parsingSteps(text: string, format: Format): Steps<Parsed> {
  try {
    assertJson(text);
    const half = halfCharacterIn(text);
    if (half) return invalid(pathOf(half), HALF_CHARACTER);
    const elements = elementsOf(text);
    if (!elements) return oneOf(readEvent(text, format, ""));
    if (elements.length === 0) return invalid("", "an array of events must hold at least one");
    if (elements.length > MAX_EVENTS) {
      const message = `${elements.length} events in one request; at most ${MAX_EVENTS} are taken`;
      return invalid("", message);
    }
    return yield* manyOf(elements, format);
  } catch (error) {
    if (error instanceof JsonTextError) return { kind: "malformed", message: error.message };
    throw error;
  }
}

/** The most faults that one answer lists: suggesting names for thousands of them takes seconds. */
const MAX_FAULTS = 100;

function* manyOf(elements: readonly JsonText[], format: Format): Steps<Parsed> {
  const events: PostedEvent[] = [];
  const faults: Fault[] = [];
  for (const [index, element] of elements.entries()) {
    const read = readEvent(element, format, `[${index}]`);
    if (Array.isArray(read)) faults.push(...read);
    else events.push(read);
    if (faults.length >= MAX_FAULTS) break;
    yield;
  }
  return faults.length > 0
    ? { kind: "invalid", faults: faults.slice(0, MAX_FAULTS) }
    : { kind: "parsed", events, isArray: true };
}

function oneOf(read: PostedEvent | Fault[]): Parsed {
  return Array.isArray(read)
    ? { kind: "invalid", faults: read }
    : { kind: "parsed", events: [read], isArray: false };
}

function invalid(path: string, message: string): Parsed {
  return { kind: "invalid", faults: [{ path, message }] };
}

function readEvent(
  text: JsonText,
  format: Format,
  path: string,
): PostedEvent | Fault[] {
  const members = membersOf(text);
  if (!members) return [{ path, message: "an event is a JSON object" }];
  const twice = repeated(members);
  if (twice !== undefined) return [{ path: join(path, twice), message: "stands twice" }];
  return format === "events" ? readPosted(members, path) : readCloudEvent(members, path);
}

type Members = readonly (readonly [name: string, value: JsonText])[];

/** The first name that occurs twice. */
function repeated(members: Members): string | undefined {
  if (members.length > MAX_PAIRWISE) {
    const names = new Set<string>();
    return members.find(([name]) => names.size === names.add(name).size)?.[0];
  }
  for (let at = 1; at < members.length; at++) {
    const name = members[at]![0];
    for (let before = 0; before < at; before++) if (members[before]![0] === name) return name;
  }
  return undefined;
}

/** Up to this many names, comparing all pairs is faster than building a set. */
const MAX_PAIRWISE = 8;

function readPosted(members: Members, path: string): PostedEvent | Fault[] {
  if (!isPlain(members)) {
    const faults = check(postedEventSchema, members, ["data", "metadata"], path);
    if (faults.length > 0) return faults;
  }
  const texts = new Map(members);
  const scope = membersOf(texts.get("scope") ?? "{}")!;
  const twice = repeated(scope);
  if (twice !== undefined) {
    return [{ path: join(join(path, "scope"), twice), message: "stands twice" }];
  }
  // The schema doesn't check a member named __proto__.
  const hidden = scope.find(([name, value]) => name === "__proto__" && /^[{[]/.test(value));
  if (hidden) return [{ path: join(join(path, "scope"), hidden[0]), message: NOT_SCALAR }];
  return {
    ...optionalString(texts, "id"),
    type: JSON.parse(texts.get("type")!),
    ...(texts.has("timestamp")
      ? { occurredAt: parseInstant(JSON.parse(texts.get("timestamp")!))! }
      : {}),
    scope: new Map(scope),
    data: texts.get("data")!,
    // Null means no metadata.
    ...(texts.has("metadata") && texts.get("metadata") !== "null"
      ? { metadata: texts.get("metadata")! }
      : {}),
  };
}

/**
 * A fast check that accepts most valid events. If it returns false, the event may still be valid, and
 * the schema decides. Checking the schema takes longer than all other steps of reading an event.
 */
function isPlain(members: Members): boolean {
  let required = 0;
  for (const [name, text] of members) {
    switch (name) {
      case "id":
        // The schema refuses "." and "..".
        if (!PLAIN_NAME.test(text) || text.startsWith('".')) return false;
        break;
      case "type":
        if (!PLAIN_NAME.test(text)) return false;
        required++;
        break;
      case "data":
        required++;
        break;
      case "metadata":
        break;
      case "timestamp":
        if (!PLAIN_NAME.test(text) || parseInstant(text.slice(1, -1)) === undefined) return false;
        break;
      case "scope":
        if (text !== "{}" && !PLAIN_SCOPE.test(text)) return false;
        break;
      default:
        return false;
    }
  }
  return required === 2;
}

/** Visible ASCII without escapes. */
const PLAIN_NAME = /^"[!#-[\]-~]{1,256}"$/;
/** Short names, each with an integer or an ASCII string. */
const PLAIN_SCOPE =
  /^\{"[A-Za-z]\w{0,63}":(?:-?\d{1,20}|"[ !#-[\]-~]{0,256}")(?:,"[A-Za-z]\w{0,63}":(?:-?\d{1,20}|"[ !#-[\]-~]{0,256}"))*\}$/;

function optionalString(texts: ReadonlyMap<string, JsonText>, name: "id"): { id?: string } {
  const text = texts.get(name);
  return text === undefined ? {} : { [name]: JSON.parse(text) };
}

/** The attributes with a field of their own; all others become the scope. */
const CLOUD_EVENT_CORE = new Set([
  "specversion",
  "id",
  "type",
  "time",
  "datacontenttype",
  "dataschema",
  "data",
]);

function readCloudEvent(all: Members, path: string): PostedEvent | Fault[] {
  // An attribute with the value null counts as unset (json-format 1.0.2, section 2.2).
  const members = all.filter(([name, value]) => name === "data" || value !== "null");
  const faults = check(cloudEventSchema, members, ["data"], path);
  for (const [name, value] of members) {
    if (!CLOUD_EVENT_CORE.has(name) && /^[{[]/.test(value)) {
      faults.push({ path: join(path, name), message: "an extension attribute is a scalar" });
    }
  }
  if (faults.length > 0) return faults;
  const texts = new Map(members);
  return {
    id: JSON.parse(texts.get("id")!),
    source: JSON.parse(texts.get("source")!),
    type: JSON.parse(texts.get("type")!),
    ...(texts.has("time") ? { occurredAt: parseInstant(JSON.parse(texts.get("time")!))! } : {}),
    scope: new Map(members.filter(([name]) => !CLOUD_EVENT_CORE.has(name))),
    data: texts.get("data") ?? "null",
  };
}

/** Checks an object against a schema, except for the values of `opaque` members. */
function check(
  schema: z.ZodObject,
  members: Members,
  opaque: readonly string[],
  path: string,
): Fault[] {
  const value: Record<string, unknown> = Object.create(null);
  for (const [name, text] of members) value[name] = opaque.includes(name) ? null : JSON.parse(text);
  const result = schema.safeParse({ ...value });
  if (result.success) return [];
  return result.error.issues.slice(0, MAX_FAULTS).flatMap((issue) => {
    const at = issue.path.reduce<string>((before, step) => join(before, String(step)), path);
    if (issue.code !== "unrecognized_keys") {
      const isMissing = issue.path.length === 1 && !members.some(([n]) => n === issue.path[0]);
      return [{ path: at, message: isMissing ? "is missing" : lowerFirst(issue.message) }];
    }
    return issue.keys.slice(0, MAX_FAULTS).map((name) => ({
      path: join(at, name),
      message: unknown(name, schema),
    }));
  });
}

function unknown(name: string, schema: z.ZodObject): string {
  const known = Object.keys(schema.shape);
  const [nearest] = known.filter((one) => isNear(name, one))
    .toSorted((a, b) => distance(name, a) - distance(name, b));
  return nearest !== undefined
    ? `is no member of an event; did you mean "${nearest}"?`
    : `is no member of an event; it has ${known.join(", ")}`;
}

/** At most two typing errors apart. */
function isNear(name: string, known: string): boolean {
  return Math.abs(name.length - known.length) <= 2 && distance(name, known) <= 2;
}

function pathOf(steps: Way): string {
  return steps.reduce<string>(
    (path, step) => typeof step === "number" ? `${path}[${step}]` : join(path, step),
    "",
  );
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function join(path: string, name: string): string {
  const step = name.length > 100 ? `${name.slice(0, 100)}…` : name;
  if (!/^[A-Za-z_][\w-]*$/.test(step)) return `${path}[${JSON.stringify(step)}]`;
  return path === "" ? step : `${path}.${step}`;
}
