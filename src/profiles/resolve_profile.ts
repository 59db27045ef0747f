import { parseStatusRanges } from "../domain/attempt.ts";
import { parseDuration } from "../domain/duration.ts";
import { canonicalScalar, type JsonText, membersOf } from "../domain/json_text.ts";
import { HOUSE_LADDER, type Ladder } from "../domain/ladder.ts";
import { compilePattern } from "../domain/pattern.ts";
import type {
  AdmissionRule,
  BodyShape,
  BodySource,
  BodyValue,
  Profile,
  RequiredValue,
  SignatureRule,
} from "../domain/profile.ts";
import type { RawBodyValue, RawProfile } from "./raw_profile.ts";

/** The source text of the value at a path within the raw profile; undefined if there is no file. */
export type ExactText = (path: (string | number)[]) => JsonText | undefined;

/** The defaults for what neither a profile nor its base sets. */
const DEFAULTS: Omit<Profile, "name" | "body"> = {
  headers: [],
  secretForm: "either",
  secretRequired: true,
  standardHeaders: true,
  success: [[200, 299]],
  timeoutMs: 30_000,
  ladder: HOUSE_LADDER,
  httpsRequired: true,
  admission: [],
  requiredSettings: [],
  requiredScope: [],
  requiredValues: [],
};

/**
 * Builds the profile from a valid raw profile and its base, if it extends one. `exact` returns the
 * source text of constants, so that numbers keep their digits.
 */
export function resolveProfile(
  name: string,
  raw: RawProfile,
  base: Profile | undefined,
  exact: ExactText = () => undefined,
): Profile {
  const { description: _, signature: baseSignature, ...inherited } = base ??
    { ...DEFAULTS, body: [] };
  const signature = raw.signature === undefined
    ? baseSignature
    : raw.signature === null
    ? undefined
    : signatureRule(raw.signature);
  const headers = raw.headers ? Object.entries(raw.headers) : inherited.headers;
  const { events: baseEvents, ...rest } = inherited;
  const events = raw.events === undefined ? baseEvents : raw.events?.map(compilePattern);
  const waitForConfirmation = raw.waitForConfirmation ?? inherited.waitForConfirmation;
  const body = raw.body ? bodyShape(raw.body, ["body"], exact) : inherited.body;
  return {
    ...rest,
    name,
    ...(raw.description !== undefined && { description: raw.description }),
    body,
    headers: headers.filter(([name]) => name.toLowerCase() !== signature?.header.toLowerCase()),
    ...(signature && { signature }),
    secretForm: raw.secret?.form ?? inherited.secretForm,
    secretRequired: raw.secret?.required ?? inherited.secretRequired,
    standardHeaders: raw.standardHeaders ?? inherited.standardHeaders,
    success: raw.success === undefined ? inherited.success : parseStatusRanges(raw.success)!,
    timeoutMs: raw.timeout === undefined ? inherited.timeoutMs : parseDuration(raw.timeout)!,
    ladder: raw.retry === undefined ? inherited.ladder : ladder(raw.retry),
    httpsRequired: raw.https === undefined ? inherited.httpsRequired : raw.https === "required",
    ...(events && { events }),
    admission: raw.admission?.map((rule, index) => admission(rule, ["admission", index], exact)) ??
      inherited.admission,
    ...(waitForConfirmation !== undefined && { waitForConfirmation }),
    requiredSettings: [
      ...new Set([
        ...raw.requiredSettings ?? inherited.requiredSettings,
        ...requiredSettingsIn(body),
      ]),
    ],
    requiredScope: raw.requiredScope ?? inherited.requiredScope,
    requiredValues: requiredIn(body),
  };
}

/** The event's values that a body requires. Required settings are checked with the config. */
function requiredIn(shape: BodyShape): RequiredValue[] {
  return shape.flatMap(([, value]): RequiredValue[] => {
    if (value.kind === "object") return requiredIn(value.members);
    if (value.kind === "constant" || value.whenMissing !== "refuse") return [];
    const { source, oneOf } = value;
    if (source === "metadata") return [{ source }];
    return isScopeSource(source) ? [{ source, ...(oneOf && { oneOf }) }] : [];
  });
}

function requiredSettingsIn(shape: BodyShape): string[] {
  return shape.flatMap(([, value]): string[] => {
    if (value.kind === "object") return requiredSettingsIn(value.members);
    return value.kind === "from" && value.whenMissing === "refuse" &&
        value.source.startsWith("settings.")
      ? [value.source.slice("settings.".length)]
      : [];
  });
}

function isScopeSource(source: BodySource): source is `scope.${string}` {
  return source.startsWith("scope.");
}

function bodyShape(
  members: Record<string, RawBodyValue>,
  path: (string | number)[],
  exact: ExactText,
): BodyShape {
  // A JavaScript object moves names like "1" to the front, so take the order from the file's text.
  const source = exact(path);
  const names = source === undefined
    ? Object.keys(members)
    : membersOf(source)!.map(([name]) => name);
  return names.map((name) => [name, bodyValueOf(members[name]!, [...path, name], exact)]);
}

function bodyValueOf(
  raw: RawBodyValue,
  path: (string | number)[],
  exact: ExactText,
): BodyValue {
  if (raw.members) {
    return { kind: "object", members: bodyShape(raw.members, [...path, "members"], exact) };
  }
  if (raw.from === undefined) {
    return { kind: "constant", value: exact([...path, "value"]) ?? JSON.stringify(raw.value) };
  }
  return {
    kind: "from",
    source: raw.from as BodySource,
    as: raw.as ?? "iso",
    whenMissing: raw.whenMissing ?? (raw.oneOf ? "refuse" : "null"),
    ...(raw.oneOf && { oneOf: scalarsOf(raw.oneOf, [...path, "oneOf"], exact) }),
    ...(raw.nullWhen && {
      nullWhenScope: scopeRule(raw.nullWhen, [...path, "nullWhen"], exact),
    }),
  };
}

function scopeRule(
  raw: Record<string, (string | number | boolean | null)[]>,
  path: (string | number)[],
  exact: ExactText,
): { name: string; values: string[] } {
  const [[key, values]] = Object.entries(raw) as [[string, unknown[]]];
  return {
    name: key.slice("scope.".length),
    values: scalarsOf(values, [...path, key], exact),
  };
}

function scalarsOf(
  values: readonly unknown[],
  path: (string | number)[],
  exact: ExactText,
): string[] {
  return values.map((value, index) =>
    canonicalScalar(exact([...path, index]) ?? JSON.stringify(value))
  );
}

function signatureRule(raw: NonNullable<RawProfile["signature"]>): SignatureRule {
  return {
    header: raw.header,
    algorithm: raw.algorithm ?? "sha256",
    encoding: raw.encoding ?? "hex",
    over: raw.over ?? "{body}",
    value: raw.value ?? "{signature}",
    ...(raw.separator !== undefined && { separator: raw.separator }),
  };
}

function ladder(raw: NonNullable<RawProfile["retry"]>): Ladder {
  if (Array.isArray(raw)) return { waitsMs: raw.map((wait) => parseDuration(wait)!) };
  return {
    waitsMs: raw.waits.map((wait) => parseDuration(wait)!),
    ...(raw.thenEvery !== undefined && { thenEveryMs: parseDuration(raw.thenEvery)! }),
    ...(raw.for !== undefined && { forMs: parseDuration(raw.for)! }),
  };
}

function admission(
  raw: NonNullable<RawProfile["admission"]>[number],
  path: (string | number)[],
  exact: ExactText,
): AdmissionRule {
  if (!raw.when || !raw.require) return { kind: "permission" };
  return {
    kind: "scope",
    when: scopeRule(raw.when, [...path, "when"], exact),
    require: scopeRule(raw.require, [...path, "require"], exact),
  };
}
