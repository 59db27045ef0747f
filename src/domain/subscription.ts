import { type Event, type ScopeCondition, unmetScope } from "./event.ts";
import type { Instant } from "./instant.ts";
import {
  canonicalScalar,
  compareNumbers,
  type ExactValue,
  NumberText,
  plainScalar,
} from "./json_text.ts";
import { type JsonText, parseExact } from "./json_text.ts";
import type { Pattern } from "./pattern.ts";
import type { Profile } from "./profile.ts";
import type { Secret } from "./secret.ts";
import type { DeliveryRules } from "./verdict.ts";

/** Who wants events, and where they go: one entry of the config file, defaults filled in. */
export interface Subscription extends DeliveryRules {
  readonly id: string;
  readonly url: string;
  readonly description?: string;
  /** Over the publisher's names. */
  readonly events: readonly Pattern[];
  readonly profile: Profile;
  readonly secret?: Secret;
  readonly previousSecret?: { readonly secret: Secret; readonly until: Instant };
  readonly scope: ScopeCondition;
  readonly match: readonly DataCondition[];
  /** The operator's own headers, in their order; a Secret value came from a reference. */
  readonly headers: readonly (readonly [name: string, value: string | Secret])[];
  /** The receiver's name of an event by the publisher's. */
  readonly rename: ReadonlyMap<string, string>;
  readonly enabled: boolean;
  /** What the profile's body may take from the config. */
  readonly settings: ReadonlyMap<string, JsonText>;
  readonly permissions: readonly string[];
  readonly timeoutMs: number;
  /** Attempts under way at once. */
  readonly concurrency: number;
  /** Attempts started per length of time. */
  readonly rateLimit?: { readonly count: number; readonly perMs: number };
  /** How much of the body of a success is kept; of a failure it is MAX_RESPONSE_BYTES. */
  readonly keepResponseBytes: number;
  readonly standardHeaders: boolean;
  /** Whether each request names its attempt's span; only where traces are on is there one to name. */
  readonly traceparent: boolean;
  readonly allowHttp: boolean;
  /** CIDR ranges that the address guard lets through for this subscription. */
  readonly allowNetworks: readonly string[];
}

/** A condition on an event's data: the value at the path satisfies any of the tests. */
export interface DataCondition {
  readonly path: string;
  readonly anyOf: readonly ValueTest[];
}

/** One alternative: a literal, or operators that must all hold. */
export type ValueTest =
  | { readonly kind: "equals"; readonly value: string }
  | { readonly kind: "operators"; readonly operators: readonly Operator[] };

export type Operator =
  | { readonly name: ">" | ">=" | "<" | "<="; readonly operand: NumberText | string }
  | { readonly name: "!="; readonly operand: string }
  | { readonly name: "exists"; readonly operand: boolean }
  | { readonly name: "prefix" | "suffix"; readonly operand: string };

/** Whether a subscription gets an event, and if not, the first rule that keeps it. */
export type Match =
  | { readonly matches: true }
  | {
    readonly matches: false;
    readonly rule: "events" | "scope" | "match" | "catalogue" | "admission";
    readonly why: string;
  };

/** The name this subscription's receiver knows an event by. */
export function receiverName(subscription: Subscription, type: string): string {
  return subscription.rename.get(type) ?? type;
}

/** Decides from the event and the config alone: paused and disabled subscriptions match as well. */
export function matches(subscription: Subscription, event: Event): Match {
  if (!subscription.events.some((pattern) => pattern.matches(event.type))) {
    const patterns = subscription.events.map((pattern) => `"${pattern.text}"`).join(", ");
    return no("events", `"${event.type}" fits none of ${patterns}`);
  }
  const unmet = unmetScope(subscription.scope, event.scope);
  if (unmet !== undefined) {
    const wanted = subscription.scope.get(unmet)!.map(plainScalar).join(" or ");
    return no("scope", `scope.${unmet} is ${event.scope.get(unmet) ?? "missing"}, not ${wanted}`);
  }
  const failing = unmetCondition(subscription.match, event);
  if (failing) return no("match", failing);
  return admits(subscription, event);
}

function no(rule: (Match & { matches: false })["rule"], why: string): Match {
  return { matches: false, rule, why };
}

/** The profile's own rules: the names it has, and what its platform asks of an event. */
function admits(subscription: Subscription, event: Event): Match {
  const { profile } = subscription;
  const name = receiverName(subscription, event.type);
  if (profile.events && !profile.events.some((known) => known.matches(name))) {
    return no("catalogue", `profile "${profile.name}" has no event "${name}"`);
  }
  for (const rule of profile.admission) {
    if (rule.kind === "permission") {
      const resource = name.split(/[:|]/, 1)[0]!;
      if (!subscription.permissions.includes(resource)) {
        return no("admission", `"${resource}" is not among the subscription's permissions`);
      }
    } else if (holds(event, rule.when) && !holds(event, rule.require)) {
      const { name, values } = rule.require;
      const found = event.scope.get(name) ?? "missing";
      return no(
        "admission",
        `scope.${name} is ${found}, not ${values.map(plainScalar).join(" or ")}`,
      );
    }
  }
  return { matches: true };
}

function holds(event: Event, { name, values }: { name: string; values: readonly string[] }) {
  const value = event.scope.get(name);
  return value !== undefined && values.includes(canonicalScalar(value));
}

/** Says which condition the data does not meet; undefined where it meets all. */
function unmetCondition(
  conditions: readonly DataCondition[],
  event: Event,
): string | undefined {
  if (conditions.length === 0) return undefined;
  const value = exactData(event);
  for (const { path, anyOf } of conditions) {
    const found = valuesAt(value, path.split("."));
    if (!anyOf.some((test) => meets(found, test))) {
      const some = found.slice(0, MAX_SHOWN).map(show);
      if (found.length > MAX_SHOWN) some.push("…");
      return `data.${path} is ${found.length === 0 ? "missing" : some.join(", ")}`;
    }
  }
  return undefined;
}

/** An event's data, parsed once for all the subscriptions that look into it in turn. */
function exactData(event: Event): ExactValue {
  if (latest?.event !== event) latest = { event, data: parseExact(event.data) };
  return latest.data;
}

/** One alone: parsed, data takes many times the room of its text. */
let latest: { readonly event: Event; readonly data: ExactValue } | undefined;
const MAX_SHOWN = 5;

/** The values at a path; an array stands for each of its elements. */
function valuesAt(value: ExactValue, path: readonly string[]): ExactValue[] {
  if (Array.isArray(value)) return value.flatMap((element) => valuesAt(element, path));
  if (path.length === 0) return [value];
  if (value === null || typeof value !== "object" || value instanceof NumberText) return [];
  const [name, ...rest] = path as [string, ...string[]];
  return Object.hasOwn(value, name) ? valuesAt(value[name]!, rest) : [];
}

function meets(found: ExactValue[], test: ValueTest): boolean {
  if (test.kind === "equals") return found.some((value) => canonical(value) === test.value);
  return test.operators.every((operator) => {
    switch (operator.name) {
      case "exists":
        return (found.length > 0) === operator.operand;
      case "!=":
        return !found.some((value) => canonical(value) === operator.operand);
      case "prefix":
        return found.some((v) => typeof v === "string" && v.startsWith(operator.operand));
      case "suffix":
        return found.some((v) => typeof v === "string" && v.endsWith(operator.operand));
      default:
        return found.some((value) => compares(value, operator.name, operator.operand));
    }
  });
}

/** Numbers compare exactly, texts by code unit (so ISO dates compare by time); mixed never hold. */
function compares(
  value: ExactValue,
  operator: ">" | ">=" | "<" | "<=",
  operand: NumberText | string,
): boolean {
  let order: number;
  if (value instanceof NumberText && operand instanceof NumberText) {
    order = compareNumbers(value.text, operand.text);
  } else if (typeof value === "string" && typeof operand === "string") {
    order = value < operand ? -1 : value > operand ? 1 : 0;
  } else return false;
  if (order === 0) return operator === ">=" || operator === "<=";
  return order > 0 ? operator.startsWith(">") : operator.startsWith("<");
}

/** A scalar's canonical text, as canonicalScalar spells it; undefined for objects. */
function canonical(value: ExactValue): string | undefined {
  if (value instanceof NumberText) return canonicalScalar(value.text);
  return value !== null && typeof value === "object" ? undefined : JSON.stringify(value);
}

function show(value: ExactValue): string {
  if (value instanceof NumberText) return value.text;
  return value !== null && typeof value === "object" ? "an object" : JSON.stringify(value);
}
