import { ANY_VALUE, type Event, type ScopeCondition } from "../domain/event.ts";
import { type DataPaths, EventValues } from "../domain/event_values.ts";
import type { Pattern } from "../domain/pattern.ts";
import { finished, type Steps } from "../runtime/turn.ts";
import { type Match, matches, pathsOf, type Subscription } from "../domain/subscription.ts";

/**
 * Finds an event's subscriptions among tens of thousands without checking each. It looks up patterns
 * by the text before their first `*`, and under each pattern by a required scope value.
 */
export class SubscriptionIndex {
  /** Patterns with a `*`: by the length of the text before the first one, then by that text. */
  readonly #wild = new Map<number, Map<string, Group[]>>();
  readonly #literal = new Map<string, Group>();
  readonly #cache = new GroupCache();
  readonly #subscriptions: readonly Subscription[];
  #paths: DataPaths | undefined;

  private constructor(subscriptions: readonly Subscription[]) {
    this.#subscriptions = subscriptions;
  }

  static of(subscriptions: readonly Subscription[]): SubscriptionIndex {
    return finished(SubscriptionIndex.building(subscriptions));
  }

  /** Like `of`, in steps: tens of thousands of subscriptions take 0.1 s. */
  static *building(subscriptions: readonly Subscription[]): Steps<SubscriptionIndex> {
    const index = new SubscriptionIndex(subscriptions);
    const groups = new Map<string, { pattern: Pattern; members: Position[] }>();
    for (const [position, { events }] of subscriptions.entries()) {
      for (const pattern of events) {
        const group = groups.get(pattern.text);
        if (group === undefined) groups.set(pattern.text, { pattern, members: [position] });
        // A subscription may list the same pattern twice.
        else if (group.members.at(-1) !== position) group.members.push(position);
      }
      if (position % POSITIONS_PER_STEP === POSITIONS_PER_STEP - 1) yield;
    }
    for (const { pattern, members } of groups.values()) {
      index.#add(yield* Group.building(pattern, members, subscriptions));
      yield;
    }
    return index;
  }

  /** The subscriptions that get the event, in the order they were given. */
  matching(event: Event): Subscription[] {
    const { candidates, gets } = this.ask(event);
    return candidates.filter(gets);
  }

  /**
   * The subscriptions that may get the event, in the same order, and functions to check each. There
   * may be tens of thousands, so callers check them in steps and yield in between.
   */
  ask(event: Event): Matcher {
    const values = new EventValues(event, () => this.#paths ??= pathsOf(this.#subscriptions));
    const lists = this.#groupsFor(event.type).flatMap((group) => group.listsFor(values));
    return {
      candidates: inOrder(lists).map((position) => this.#subscriptions[position]!),
      gets: (candidate) => wantsAll(candidate) || matches(candidate, event, values).matches,
      match: (subscription) => matches(subscription, event, values),
    };
  }

  #add(group: Group): void {
    const { text } = group.pattern;
    const length = text.indexOf("*");
    if (length < 0) return void this.#literal.set(text, group);
    let byPrefix = this.#wild.get(length);
    if (!byPrefix) this.#wild.set(length, byPrefix = new Map());
    const prefix = text.slice(0, length);
    const others = byPrefix.get(prefix);
    if (others) others.push(group);
    else byPrefix.set(prefix, [group]);
  }

  #groupsFor(type: string): readonly Group[] {
    return this.#cache.get(type) ?? this.#cache.keep(type, this.#findGroups(type));
  }

  #findGroups(type: string): Group[] {
    const literal = this.#literal.get(type);
    const found = literal ? [literal] : [];
    for (const [length, byPrefix] of this.#wild) {
      for (const group of byPrefix.get(type.slice(0, length)) ?? []) {
        if (group.pattern.matches(type)) found.push(group);
      }
    }
    return found;
  }
}

/** Matches one event against subscriptions. */
export interface Matcher {
  readonly candidates: readonly Subscription[];
  /** Whether a candidate gets the event. */
  gets(candidate: Subscription): boolean;
  /** Whether any subscription matches, and if not, why. */
  match(subscription: Subscription): Match;
}

/** Whether a candidate has no conditions besides its patterns, as most do: skips the full check. */
function wantsAll(candidate: Subscription): boolean {
  const { scope, profile } = candidate;
  return scope.size === 0 && !profile.events && profile.admission.length === 0 &&
    profile.requiredValues.length === 0 && candidate.match.length === 0;
}

/** A subscription's index in the config. */
type Position = number;

const POSITIONS_PER_STEP = 256;

/** The subscriptions that have the same pattern. */
class Group {
  readonly pattern: Pattern;
  readonly #anyScope: readonly Position[];
  /** By a scope name and its required value; undefined if no subscription has a scope. */
  readonly #byScope: Map<string, Map<string, Position[]>> | undefined;

  private constructor(
    pattern: Pattern,
    anyScope: readonly Position[],
    byScope: Map<string, Map<string, Position[]>> | undefined,
  ) {
    this.pattern = pattern;
    this.#anyScope = anyScope;
    this.#byScope = byScope;
  }

  static *building(
    pattern: Pattern,
    members: readonly Position[],
    subscriptions: readonly Subscription[],
  ): Steps<Group> {
    const hasScope = (position: Position) => subscriptions[position]!.scope.size > 0;
    const scoped = members.filter(hasScope);
    // Usually the list itself, to save memory: tens of thousands of patterns have one subscription.
    const anyScope = scoped.length === 0 ? members : members.filter((one) => !hasScope(one));
    const byScope = scoped.length === 0 ? undefined : yield* filed(scoped, subscriptions);
    return new Group(pattern, anyScope, byScope);
  }

  /** Sorted lists that contain every subscription whose scope fits the event, and maybe others. */
  listsFor(values: EventValues): (readonly Position[])[] {
    const lists = this.#anyScope.length > 0 ? [this.#anyScope] : [];
    for (const [name, byValue] of this.#byScope ?? []) {
      const value = values.scope(name);
      if (value === undefined) continue;
      const list = byValue.get(value), any = byValue.get(ANY_VALUE);
      if (list) lists.push(list);
      if (any && any !== list) lists.push(any);
    }
    return lists;
  }
}

/** Files each subscription under its most selective scope name, once for each accepted value. */
function* filed(
  members: readonly Position[],
  subscriptions: readonly Subscription[],
): Steps<Map<string, Map<string, Position[]>>> {
  const scopes = members.map((position) => subscriptions[position]!.scope);
  const variety = yield* varietyOf(scopes);
  const byScope = new Map<string, Map<string, Position[]>>();
  for (const [index, scope] of scopes.entries()) {
    const name = mostSelective(scope, variety);
    let byValue = byScope.get(name);
    if (!byValue) byScope.set(name, byValue = new Map());
    for (const value of new Set(scope.get(name))) {
      const list = byValue.get(value);
      if (list) list.push(members[index]!);
      else byValue.set(value, [members[index]!]);
    }
    if (index % POSITIONS_PER_STEP === POSITIONS_PER_STEP - 1) yield;
  }
  return byScope;
}

/** How many values each scope name has: an account id is more selective than a region. */
function* varietyOf(scopes: readonly ScopeCondition[]): Steps<Map<string, number>> {
  const values = new Map<string, Set<string>>();
  for (const [index, scope] of scopes.entries()) {
    if (index % POSITIONS_PER_STEP === POSITIONS_PER_STEP - 1) yield;
    for (const [name, wanted] of scope) {
      let known = values.get(name);
      if (!known) values.set(name, known = new Set());
      for (const value of wanted) known.add(value);
    }
  }
  return new Map([...values].map(([name, known]) => [name, known.size]));
}

/** Expects a scope that isn't empty. */
function mostSelective(scope: ScopeCondition, variety: Map<string, number>): string {
  const names = [...scope.keys()];
  return names.reduce((best, name) => variety.get(name)! > variety.get(best)! ? name : best);
}

/** Merges the lists without duplicates, in the config's order. */
function inOrder(lists: readonly (readonly Position[])[]): readonly Position[] {
  const [only = [], ...more] = lists;
  return more.length === 0 ? only : [...new Set(lists.flat())].sort((a, b) => a - b);
}

/** Caches the groups of each event type. Bounded, because publishers choose the types. */
class GroupCache {
  #byType = new Map<string, readonly Group[]>();
  #size = 0;

  get(type: string): readonly Group[] | undefined {
    return this.#byType.get(type);
  }

  keep(type: string, groups: readonly Group[]): readonly Group[] {
    this.#size += 1 + groups.length;
    if (this.#size > MAX_CACHED) {
      this.#byType.clear();
      this.#size = 1 + groups.length;
    }
    this.#byType.set(type, groups);
    return groups;
  }
}

/** Types plus the groups under them. */
const MAX_CACHED = 20_000;
