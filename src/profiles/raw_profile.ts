/** The form of wire profiles in a config file; the built-in ones are written the same way. */
import * as z from "zod";
import { parseStatusRanges } from "../domain/attempt.ts";
import { LONGEST_MS, parseDuration } from "../domain/duration.ts";
import { quoted } from "../domain/quoted.ts";
import { headerNameProblem, headerValueProblem } from "./header.ts";
import { IN_HEADERS, IN_SIGNATURE, IN_SIGNED_TEXT, templateProblem } from "./template.ts";

/** A string for which `problemOf` returns undefined. */
function checked(problemOf: (text: string) => string | undefined) {
  return z.string().superRefine((text, context) => {
    const message = problemOf(text);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

const duration = z.string()
  .regex(/^\d{1,9}(ms|s|m|h|d)$/, {
    error: (issue) =>
      `${quoted(`${issue.input}`)} is no length of time; write it as "30s", "5m" or "2h"`,
  })
  .refine((text) => parseDuration(text) !== 0, { error: "a length of time must be above zero" })
  .refine((text) => (parseDuration(text) ?? 0) <= LONGEST_MS, {
    error: (issue) => `${quoted(`${issue.input}`)} is longer than ten years; give "3650d" at most`,
  });

/**
 * What is wrong with a set of success statuses. Redirects are never followed, and 410 always ends a
 * delivery and pauses its subscription, so neither can count as success.
 */
export function successProblem(text: string): string | undefined {
  const ranges = parseStatusRanges(text);
  if (ranges === undefined) {
    return `${quoted(text)} is no set of statuses; write it as "2xx", "200" or "200-204,409"`;
  }
  const found = NO_SUCCESS.find(({ first, last }) =>
    ranges.some(([from, to]) => from <= last && first <= to)
  );
  if (found === undefined) return undefined;
  return `${quoted(text)} has ${found.name} in it, which is no success; ` +
    "keep to 200-299, 400-409 and 411-599";
}

const NO_SUCCESS = [
  { name: "1xx", first: 100, last: 199 },
  { name: "3xx", first: 300, last: 399 },
  { name: "410", first: 410, last: 410 },
];

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()], {
  error: "a value must be a text, a number, true, false or null",
});

/** An object with one `scope.KEY` and its accepted values. */
const scopeValues = z.record(z.string(), z.array(scalar).min(1)).superRefine((wanted, context) => {
  const names = Object.keys(wanted);
  if (names.length !== 1) {
    const message = `exactly one "scope.KEY" is expected here, found ${names.length}`;
    context.addIssue({ code: "custom", message });
  }
  for (const name of names) {
    if (/^scope\../s.test(name)) continue;
    const message = `${quoted(name)} is no key of an event's scope; write it as "scope.KEY"`;
    context.addIssue({ code: "custom", path: [name], message });
  }
});

/** One member of the body. It has exactly one of `from`, `value` and `members`. */
export interface RawBodyValue {
  from?: string | undefined;
  as?: "iso" | "unixMs" | "unixSeconds" | undefined;
  whenMissing?: "null" | "omit" | "refuse" | undefined;
  oneOf?: (string | number | boolean)[] | undefined;
  nullWhen?: Record<string, (string | number | boolean | null)[]> | undefined;
  value?: unknown;
  members?: Record<string, RawBodyValue> | undefined;
}

// One object with a check rather than a union, so that a problem names the key that is wrong.
const bodyValue: z.ZodType<RawBodyValue> = z.lazy(() =>
  z.strictObject({
    from: z.string()
      .regex(/^(type|id|timestamp|data|metadata|(scope|settings)\..+)$/, {
        error: (issue) =>
          `${
            quoted(`${issue.input}`)
          } is nothing a body can take from; there are "type", "id", "timestamp", ` +
          `"data", "metadata", "scope.KEY" and "settings.KEY"`,
      })
      .optional()
      .describe("What of the event, or of the subscription's settings, stands here"),
    as: z.enum(["iso", "unixMs", "unixSeconds"]).optional()
      .describe(
        'How the timestamp is written: ISO 8601 text in UTC ("iso", the default) or a number',
      ),
    whenMissing: z.enum(["null", "omit", "refuse"]).optional().describe(
      'What happens where the event has no such thing, or null: it is written as null ("null", the ' +
        'default), left out ("omit"), or the event is not delivered ("refuse")',
    ),
    oneOf: z.array(z.union([z.string(), z.number(), z.boolean()])).min(1).optional().describe(
      "The values that scope.KEY may have here: an event with another, or with none, is not delivered",
    ),
    nullWhen: scopeValues.optional()
      .describe('Writes null where the event\'s scope holds one of the values: {"scope.KEY": […]}'),
    value: z.unknown().optional().describe("A constant, any JSON"),
    members: z.record(z.string(), bodyValue).optional().describe("An object of further members"),
  }).superRefine((raw, context) => {
    const message = bodyValueProblem(raw);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  })
).meta({
  id: "BodyValue",
  oneOf: [{ required: ["from"] }, { required: ["value"] }, { required: ["members"] }],
});

function bodyValueProblem(raw: RawBodyValue): string | undefined {
  const kinds = ["from", "value", "members"].filter((kind) => Object.hasOwn(raw, kind));
  if (kinds.length !== 1) {
    const found = kinds.length === 0 ? "none" : kinds.map((kind) => `"${kind}"`).join(" and ");
    return `a member of the body has one of "from", "value" and "members"; here is ${found}`;
  }
  if (raw.from === undefined) {
    const stray = (["as", "whenMissing", "oneOf", "nullWhen"] as const).find((key) => raw[key]);
    return stray && `"${stray}" goes with "from" only, not with "${kinds[0]}"; take it away`;
  }
  if (raw.as !== undefined && raw.from !== "timestamp") {
    return `"as" says how a timestamp is written; "${raw.from}" is none, take it away`;
  }
  if (raw.oneOf !== undefined && !raw.from.startsWith("scope.")) {
    return `"oneOf" goes with a "scope.KEY"; "${raw.from}" is none, take it away`;
  }
  if (raw.oneOf !== undefined && (raw.whenMissing ?? "refuse") !== "refuse") {
    return `"oneOf" refuses an event without the value, "whenMissing" says otherwise; take one away`;
  }
  return undefined;
}

const headers = z.record(z.string(), z.string()).superRefine((wanted, context) => {
  const seen = new Set<string>();
  for (const [name, template] of Object.entries(wanted)) {
    const repeated = seen.has(name.toLowerCase())
      ? `${quoted(name)} stands here twice, in another spelling; keep one`
      : undefined;
    seen.add(name.toLowerCase());
    const message = headerNameProblem(name) ?? repeated ?? headerValueProblem(template) ??
      templateProblem(template, IN_HEADERS);
    if (message !== undefined) context.addIssue({ code: "custom", path: [name], message });
  }
});

const signature = z.strictObject({
  header: checked(headerNameProblem).describe(
    "The header's name, in the spelling it goes out with",
  ),
  algorithm: z.enum(["sha1", "sha256", "sha384", "sha512"]).optional()
    .describe('The hash beneath the HMAC: "sha256" is the default'),
  encoding: z.enum(["hex", "base64"]).optional().describe('"hex" (lower case) is the default'),
  over: checked(signedTextProblem)
    .optional()
    .describe(
      'What is signed, a template: "{body}" is the default; {body:encode64} is Ruby\'s ' +
        "Base64.encode64, {body:reserialised} JSON.stringify(JSON.parse(body)), {id} the webhook-id, " +
        "{timestamp} Unix seconds of the attempt, {uuid} one of event and subscription, {type}",
    ),
  value: checked(signatureValueProblem).optional()
    .describe('The header\'s value, a template: "{signature}" is the default'),
  separator: checked((text) => text === "" ? "the separator is empty" : headerText(text))
    .optional()
    .describe(
      "Divides the signatures of several live secrets, which then stand for {signature} together; " +
        "without it only the current secret signs",
    ),
});

function signedTextProblem(text: string): string | undefined {
  if (text === "") return "nothing is signed";
  return templateProblem(text, IN_SIGNED_TEXT) ??
    (text.includes("{")
      ? undefined
      : `${quoted(text)} signs nothing of the request: it is the same for all; add "{body}"`);
}

function signatureValueProblem(text: string): string | undefined {
  return headerValueProblem(text) ?? templateProblem(text, IN_SIGNATURE) ??
    (text.includes("{signature}")
      ? undefined
      : `${quoted(text)} has no "{signature}" in it; add it`);
}

/** Like a header's value, but may begin or end with a space. */
function headerText(text: string): string | undefined {
  return headerValueProblem(`|${text}|`);
}

const retry = z.union([
  z.array(duration),
  z.strictObject({
    waits: z.array(duration).describe("The waits after the first failed attempts"),
    thenEvery: duration.optional().describe("After these, one more attempt each time this is over"),
    for: duration.optional().describe(
      "No attempt is due later than this after the first one, unless Retry-After asks for it",
    ),
  }).superRefine((raw, context) => {
    if (raw.thenEvery === undefined || raw.for !== undefined) return;
    const message = `"thenEvery" without "for" would never end; say for how long, as in "30d"`;
    context.addIssue({ code: "custom", path: ["thenEvery"], message });
  }),
], {
  error: 'the waits are a list like ["1m", "5m"], or an object of "waits", "thenEvery" and "for"',
});

const admissionRule = z.strictObject({
  permission: z.literal(true).optional()
    .describe("The event's resource, before `:` or `|`, is among the subscription's permissions"),
  when: scopeValues.optional().describe("Where the scope holds one of these values …"),
  require: scopeValues.optional().describe("… it holds one of these as well"),
}).superRefine((raw, context) => {
  const alone = raw.permission !== undefined && !raw.when && !raw.require;
  const pair = raw.permission === undefined && raw.when && raw.require;
  if (alone || pair) return;
  const message = `a rule is either {"permission": true} or has both "when" and "require"`;
  context.addIssue({ code: "custom", message });
}).meta({ oneOf: [{ required: ["permission"] }, { required: ["when", "require"] }] });

/** One profile. Unknown keys are refused. Each key replaces the base's as a whole. */
export const rawProfile = z.strictObject({
  extends: z.string().min(1).optional()
    .describe("The profile that all words left out are taken from"),
  description: z.string().optional().describe("What the profile is, for people"),
  body: z.record(z.string(), bodyValue).optional()
    .describe("The members of the body in their order; needed where nothing is extended"),
  headers: headers.optional()
    .describe("Headers by name, values are templates: {id}, {timestamp}, {uuid}, {type}"),
  signature: signature.nullable().optional()
    .describe("The platform's own signature header; null takes the base's away"),
  secret: z.strictObject({
    form: z.enum(["standard", "text", "either"]).optional()
      .describe('"standard" is whsec_ or whsk_ and Base64, "text" any text: its bytes are the key'),
    required: z.boolean().optional().describe("Whether a subscription must have a secret"),
  }).optional()
    .describe("What a subscription's secret looks like, and whether it must have one"),
  standardHeaders: z.boolean().optional()
    .describe("Whether webhook-id, webhook-timestamp and webhook-signature go out as well"),
  success: checked(successProblem).optional().describe(
    'The statuses that count as success (never 1xx, 3xx or 410): "2xx", "200", "200-204,409"',
  ),
  timeout: duration.optional()
    .describe("The deadline of one attempt: resolving, connecting, request and response together"),
  retry: retry.optional()
    .describe('The waits between attempts, each from the end of the one before: ["1m", "5m"]'),
  https: z.enum(["required", "optional"]).optional()
    .describe("Whether a receiver's URL must be https"),
  events: z.array(z.string().min(1)).min(1).nullable().optional()
    .describe("The receivers' names of all events there are, `*` stands for any text; null: open"),
  admission: z.array(admissionRule).optional()
    .describe("Rules of the platform that hold events back from a subscription"),
  waitForConfirmation: z.boolean().optional()
    .describe("Gives subscriptions the choice of that name, with this default"),
  requiredSettings: z.array(z.string().min(1)).optional()
    .describe("The keys of `settings` that a subscription must give"),
  requiredScope: z.array(z.string().min(1)).optional().describe(
    "Keys of which a subscription's `scope` must name one, so that nobody gets everybody's events " +
      'by mistake; "*" there says that all are meant',
  ),
}).superRefine((raw, context) => {
  if (raw.extends === undefined && raw.body === undefined) {
    const message = `a profile that extends none has a "body"; add one, or "extends"`;
    context.addIssue({ code: "custom", path: ["body"], message });
  }
  const header = raw.signature?.header.toLowerCase();
  const same = Object.keys(raw.headers ?? {}).find((name) => name.toLowerCase() === header);
  if (same !== undefined) {
    const message = `${quoted(same)} is the signature's header already; take it away here`;
    context.addIssue({ code: "custom", path: ["headers", same], message });
  }
});

/** One profile as written in a config file. */
export type RawProfile = z.infer<typeof rawProfile>;
