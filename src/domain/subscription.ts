import { ANY_VALUE, type Event, type ScopeCondition, unmetScope } from "./event.ts";
import type { Instant } from "./instant.ts";
import { DataPaths, EventValues, shortened, type ValuesAtPath } from "./event_values.ts";
import { type JsonText, type NumberText, plainScalar } from "./json_text.ts";
import type { Pattern } from "./pattern.ts";
import type { Profile, RequiredValue } from "./profile.ts";
import type { Secret } from "./secret.ts";
import type { DeliveryRules } from "./verdict.ts";

/**
 * Who wants events, and where they go: one entry of the config file, with all defaults. Beside these
 * fields it has all settings of the table in `config/settings.ts`.
 */
export interface Subscription extends DeliveryRules {
  readonly id: string;
  readonly url: string;
  readonly description?: string;
  /** Who owns the receiver: mail addresses and URLs that are told how it does. */
  readonly contact?: readonly string[];
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
  readonly standardHeaders: boolean;
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
    /** What the event lacks, as in `scope.account_id`, where that alone keeps it. */
    readonly missing?: string;
  };

/** The name this subscription's receiver knows an event by. */
export function receiverName(subscription: Subscription, type: string): string {
  return subscription.rename.get(type) ?? type;
}

/** The paths that the conditions of subscriptions look at. */
export function pathsOf(subscriptions: readonly Subscription[]): DataPaths {
  const paths = new Set<string>();
  for (const { match } of subscriptions) for (const { path } of match) paths.add(path);
  return new DataPaths(paths);
}

/**
 * Decides from the event and the config alone: paused and disabled subscriptions match as well. Whoever
 * asks many about one event hands over its `values`, prepared for the paths of all.
 */
export function matches(
  subscription: Subscription,
  event: Event,
  values = new EventValues(event, () => pathsOf([subscription])),
): Match {
  if (!subscription.events.some((pattern) => pattern.matches(event.type))) {
    return no("events", () => {
      const patterns = subscription.events.map((pattern) => `"${pattern.text}"`).join(", ");
      return `"${event.type}" fits none of ${patterns}`;
    });
  }
  const unmet = unmetScope(subscription.scope, (name) => values.scope(name));
  if (unmet !== undefined) {
    return no("scope", () => {
      const wanted = subscription.scope.get(unmet)!.map(shownWanted).join(" or ");
      return `scope.${unmet} is ${shownScope(event, unmet)}, not ${wanted}`;
    });
  }
  const failing = unmetCondition(subscription.match, values);
  if (failing) {
    const found = values.at(failing.path);
    return no("match", () => {
      return `data.${failing.path} is ${found.isEmpty ? "missing" : found.shown()}`;
    });
  }
  return admits(subscription, event, values);
}

/** Why is spelled when somebody asks: of those who do not get an event, hardly anybody does. */
function no(
  rule: (Match & { matches: false })["rule"],
  why: () => string,
  missing?: string,
): Match & { matches: false } {
  return {
    matches: false,
    rule,
    ...(missing !== undefined && { missing }),
    get why() {
      return why();
    },
  };
}

function shownWanted(value: string): string {
  return value === ANY_VALUE ? "any value" : plainScalar(value);
}

function shownScope(event: Event, name: string): string {
  return shortened(event.scope.get(name) ?? "missing");
}

/** The profile's own rules: the names it has, and what its platform asks of an event. */
export function admits(
  subscription: Subscription,
  event: Event,
  values = new EventValues(event, () => pathsOf([subscription])),
): Match {
  const { profile } = subscription;
  const name = receiverName(subscription, event.type);
  if (profile.events && !profile.events.some((known) => known.matches(name))) {
    return no("catalogue", () => `profile "${profile.name}" has no event "${name}"`);
  }
  for (const rule of profile.admission) {
    if (rule.kind === "permission") {
      const resource = name.split(/[:|]/, 1)[0]!;
      if (!subscription.permissions.includes(resource)) {
        return no("admission", () => `"${resource}" is not among the subscription's permissions`);
      }
    } else if (holds(values, rule.when) && !holds(values, rule.require)) {
      const { name, values: allowed } = rule.require;
      return no("admission", () => {
        const wanted = allowed.map(plainScalar).join(" or ");
        return `scope.${name} is ${shownScope(event, name)}, not ${wanted}`;
      });
    }
  }
  // Last, so that nothing but this keeps an event that lacks something.
  for (const required of profile.requiredValues) {
    const found = valueOf(required, event, values);
    if (found === undefined) {
      const why = () => `${required.source} is missing, and ${itsBody(profile)} needs it`;
      return no("admission", why, required.source);
    }
    if (required.oneOf && !required.oneOf.includes(found)) {
      const wanted = required.oneOf.map(plainScalar).join(" or ");
      return no("admission", () => {
        const shown = shownScope(event, required.source.slice(SCOPE.length));
        return `${required.source} is ${shown}, not ${wanted}, as ${itsBody(profile)} needs it`;
      });
    }
  }
  return { matches: true };
}

function itsBody({ name }: Profile): string {
  return `the body of profile "${name}"`;
}

/** Undefined where the event has no such thing, or null. */
function valueOf(
  { source }: RequiredValue,
  event: Event,
  values: EventValues,
): string | undefined {
  const found = source === "metadata" ? event.metadata : values.scope(source.slice(SCOPE.length));
  return found === "null" ? undefined : found;
}

const SCOPE = "scope.";

function holds(
  values: EventValues,
  { name, values: allowed }: { name: string; values: readonly string[] },
): boolean {
  const value = values.scope(name);
  return value !== undefined && allowed.includes(value);
}

/** The first condition that the data does not meet; undefined where it meets all. */
function unmetCondition(
  conditions: readonly DataCondition[],
  values: EventValues,
): DataCondition | undefined {
  return conditions.find(({ path, anyOf }) => {
    const found = values.at(path);
    return !anyOf.some((test) => meets(found, test));
  });
}

function meets(values: ValuesAtPath, test: ValueTest): boolean {
  if (test.kind === "equals") return values.has(test.value);
  return test.operators.every((operator) => {
    switch (operator.name) {
      case "exists":
        return !values.isEmpty === operator.operand;
      case "!=":
        return !values.has(operator.operand);
      case "prefix":
        return values.hasPrefix(operator.operand);
      case "suffix":
        return values.hasSuffix(operator.operand);
      default:
        return values.compares(operator.name, operator.operand);
    }
  });
}
