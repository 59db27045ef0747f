import { isEventType } from "../domain/event.ts";
import { compilePattern, patternsOverlap } from "../domain/pattern.ts";
import type { Profile } from "../domain/profile.ts";
import { quoted } from "../domain/quoted.ts";
import { type Findings } from "./problem.ts";
import type { Place } from "./source.ts";
import { nearestOf, suggestion } from "./suggestion.ts";

/** What the event names of a subscription are checked against. */
export interface Names {
  /** The publisher's event types. Undefined if any type is accepted. */
  readonly declared: ReadonlySet<string> | undefined;
  /** Its events are the receiver's. Undefined if the profile isn't known. */
  readonly profile: Profile | undefined;
  /** The receiver's name of an event, by the publisher's name. */
  readonly rename: ReadonlyMap<string, string>;
}

/** Reports patterns that fit no event type of the publisher, or no event of the profile. */
export function checkEvents(events: Place, names: Names, findings: Findings): void {
  for (const place of events.elements()) {
    const pattern = place.value();
    if (typeof pattern !== "string" || !isEventType(pattern)) continue;
    const problem = undeclared(pattern, place, names.declared) ??
      notInCatalogue(pattern, place, names);
    if (problem !== undefined) findings.add(problem);
  }
}

/** The problem with a pattern that fits no declared type. Undefined if it fits one, or if any type is accepted. */
export function undeclared(
  pattern: string,
  place: Place,
  declared: ReadonlySet<string> | undefined,
) {
  if (declared === undefined || fitting(pattern, declared).length > 0) return undefined;
  const message = pattern.includes("*")
    ? `no declared event type fits ${quoted(pattern)}`
    : `no event type ${quoted(pattern)} is declared`;
  return place.problem(message, suggestion(pattern, declared) ?? 'declare it in "eventTypes"');
}

function notInCatalogue(pattern: string, place: Place, { declared, profile, rename }: Names) {
  if (!profile?.events) return undefined;
  const has = (name: string) => profile.events!.some((known) => known.matches(name));
  const known = profile.events.map((event) => event.text);
  if (!pattern.includes("*")) {
    // The name that it is renamed to is checked by checkRename().
    if (rename.has(pattern) || has(pattern)) return undefined;
    const message = `profile ${quoted(profile.name)} has no event ${quoted(pattern)}`;
    const fix = declared?.has(pattern)
      ? `name the receiver's event: "rename": {${quoted(pattern)}: "…"}`
      : nearestOf(pattern, known);
    return place.problem(message, fix);
  }
  const fits = declared
    ? fitting(pattern, declared).some((type) => has(rename.get(type) ?? type))
    : known.some((event) => patternsOverlap(pattern, event)) ||
      fitting(pattern, rename.keys()).length > 0;
  if (fits) return undefined;
  const message = `profile ${quoted(profile.name)} has no event that fits ${quoted(pattern)}`;
  return place.problem(message, suggestion(pattern, known) ?? nearestOf(pattern, known));
}

/** Reports events that can't be renamed, or not to the name that is given. */
export function checkRename(
  place: Place,
  { patterns, names }: { patterns: readonly string[]; names: Names },
  findings: Findings,
): void {
  const { declared, profile } = names;
  for (const [from, at] of place.members()) {
    const to = at.value();
    if (from.includes("*")) {
      const message = `${
        quoted(from)
      } is no event type, and only one type can be renamed at a time`;
      findings.add(place.problemAtKey(from, message, "give the type's full name"));
    } else if (!isEventType(from)) {
      const message = `${quoted(from)} cannot be an event type`;
      findings.add(place.problemAtKey(from, message, "write the type as it is posted"));
    } else if (declared !== undefined && !declared.has(from)) {
      const message = `no event type ${quoted(from)} is declared`;
      findings.add(place.problemAtKey(from, message, suggestion(from, declared)));
    } else if (!patterns.some((pattern) => compilePattern(pattern).matches(from))) {
      const message = `the subscription gets no event ${quoted(from)}, so none is renamed`;
      findings.warn(place.problemAtKey(from, message, 'add it to "events", or take it out here'));
    }
    if (typeof to !== "string" || to === "") continue;
    if (to.includes("*")) {
      const message = `${quoted(to)} is no event name: "*" stands for any text`;
      findings.add(at.problem(message, "give the receiver's full name of the event"));
    } else if (profile?.events && !profile.events.some((known) => known.matches(to))) {
      const known = profile.events.map((event) => event.text);
      const message = `profile ${quoted(profile.name)} has no event ${quoted(to)}`;
      findings.add(at.problem(message, nearestOf(to, known)));
    }
  }
}

function fitting(pattern: string, types: Iterable<string>): string[] {
  const compiled = compilePattern(pattern);
  return [...types].filter((type) => compiled.matches(type));
}
