import type { ScopeCondition } from "../domain/event.ts";
import { canonicalScalar, NumberText } from "../domain/json_text.ts";
import { quoted } from "../domain/quoted.ts";
import type { DataCondition, Operator, ValueTest } from "../domain/subscription.ts";
import { type Findings } from "./problem.ts";
import type { Place } from "./source.ts";

/** The conditions on an event's scope. Numbers keep their digits; invalid values are left out. */
export function readScope(place: Place): ScopeCondition {
  if (!place.exists) return ANY_SCOPE;
  return new Map(
    place.members().map(([name, value]) => {
      const wanted = value.kind === "array" ? value.elements() : [value];
      return [name, wanted.filter(isScalar).map(canonical)];
    }),
  );
}

/** Shared by all subscriptions without a scope, since there may be tens of thousands. */
const ANY_SCOPE: ScopeCondition = new Map();

/** The conditions on an event's data. Invalid ones are left out. */
export function readMatch(place: Place, findings: Findings): DataCondition[] {
  return place.members().map(([path, value]) => {
    if (path.split(".").includes("")) {
      findings.add(place.problemAtKey(
        path,
        `${quoted(path)} is no path: one of its names is empty`,
        'write it as "status" or "guest.country"',
      ));
    }
    const tests = value.kind === "array" ? value.elements() : [value];
    return { path, anyOf: tests.flatMap((test) => readTest(test, findings) ?? []) };
  });
}

function readTest(place: Place, findings: Findings): ValueTest | undefined {
  if (isScalar(place)) return { kind: "equals", value: canonical(place) };
  if (place.kind !== "object") return undefined;
  const members = place.members();
  if (members.length === 0) {
    const fix = 'write one such as {">=": 1000} or {"exists": true}';
    findings.add(place.problem("the condition has no operator", fix));
  }
  return { kind: "operators", operators: members.flatMap(([name, at]) => readOperator(name, at)) };
}

function readOperator(name: string, place: Place): Operator[] {
  const value = place.value();
  switch (name) {
    case ">":
    case ">=":
    case "<":
    case "<=":
      if (typeof value === "string") return [{ name, operand: value }];
      return typeof value === "number" ? [{ name, operand: new NumberText(place.json()) }] : [];
    case "!=":
      return isScalar(place) ? [{ name, operand: canonical(place) }] : [];
    case "exists":
      return typeof value === "boolean" ? [{ name, operand: value }] : [];
    case "prefix":
    case "suffix":
      return typeof value === "string" ? [{ name, operand: value }] : [];
    default:
      return [];
  }
}

function isScalar(place: Place): boolean {
  return place.kind !== undefined && place.kind !== "object" && place.kind !== "array";
}

function canonical(place: Place): string {
  return canonicalScalar(place.json());
}
