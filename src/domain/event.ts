import type { Instant } from "./instant.ts";
import type { JsonText } from "./json_text.ts";

/** What happened: posted by a publisher, kept as it was written. */
export interface Event {
  /** The publisher's own id, or `evt_` and a ULID. Another publisher's event may have the same. */
  readonly id: string;
  /** The id that receivers get, where another event had this one already; `id` where undefined. */
  readonly sentAs?: string;
  readonly type: string;
  /** When it happened: the publisher's `timestamp`, else when it was accepted. */
  readonly occurredAt: Instant;
  readonly scope: Scope;
  readonly data: JsonText;
  readonly metadata?: JsonText;
  /** The span that accepted it, as a `traceparent`; undefined where no traces are kept. */
  readonly trace?: string;
}

/** The most characters that a type has, as JavaScript counts them. */
export const LONGEST_TYPE = 256;

/** Neither white space nor control characters: a type goes into headers, an id into addresses. */
// deno-lint-ignore no-control-regex
export const VISIBLE = /^[^\s\x00-\x1f\x7f-\x9f\ud800-\udfff]+$/u;

/** Whether a text may be a type. */
export function isEventType(text: string): boolean {
  return text.length <= LONGEST_TYPE && VISIBLE.test(text);
}

/** What an event is about beside its data, by name: a venue, an account. Values are JSON scalars. */
export type Scope = ReadonlyMap<string, JsonText>;

/** A scope as a JSON object; undefined where it is empty. */
export function scopeText(scope: Scope): JsonText | undefined {
  if (scope.size === 0) return undefined;
  const members = [...scope].map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return `{${members.join(",")}}`;
}

/**
 * What a scope has to hold: for each name, any one of these values, canonically spelled, or ANY_VALUE.
 */
export type ScopeCondition = ReadonlyMap<string, readonly string[]>;

/** As `"*"` stands in a config: any value, as long as there is one. */
export const ANY_VALUE = '"*"';

/**
 * The first name whose condition a scope does not meet; undefined where it meets all. The scope's values
 * come canonically spelled, for many may ask about one.
 */
export function unmetScope(
  condition: ScopeCondition,
  canonicalValue: (name: string) => string | undefined,
): string | undefined {
  for (const [name, wanted] of condition) {
    const value = canonicalValue(name);
    if (value === undefined || !wanted.includes(value) && !isAny(value, wanted)) return name;
  }
  return undefined;
}

function isAny(value: string, wanted: readonly string[]): boolean {
  return value !== "null" && wanted.includes(ANY_VALUE);
}
