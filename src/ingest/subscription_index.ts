import type { Event } from "../domain/event.ts";
import { canonicalScalar } from "../domain/json_text.ts";
import type { Pattern } from "../domain/pattern.ts";
import { matches, type Subscription } from "../domain/subscription.ts";

/**
 * Finds who gets an event among tens of thousands without asking each: by the patterns, told apart by
 * the text before their first `*`, and under each pattern by a value that the scope has to hold.
 */
export class SubscriptionIndex {
  /** By the text before the first `*`; by the length of that text first. */
  readonly #wild = new Map<number, Map<string, Group[]>>();
  readonly #literal = new Map<string, Group>();
  readonly #remembered = new RememberedGroups();

  constructor(subscriptions: readonly Subscription[]) {
    const groups = new Map<string, { pattern: Pattern; entries: Entry[] }>();
    for (const [position, subscription] of subscriptions.entries()) {
      const entry = { position, subscription };
      for (const pattern of new Map(subscription.events.map((one) => [one.text, one])).values()) {
        const group = groups.get(pattern.text);
        if (group) group.entries.push(entry);
        else groups.set(pattern.text, { pattern, entries: [entry] });
      }
    }
    for (const { pattern, entries } of groups.values()) this.#add(new Group(pattern, entries));
  }

  /** Who gets the event, in the order that the subscriptions were given in. */
  matching(event: Event): Subscription[] {
    const lists = this.#groupsFor(event.type).flatMap((group) => group.listsFor(event));
    return inOrder(lists).filter((subscription) => matches(subscription, event).matches);
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
    return this.#remembered.get(type) ?? this.#remembered.keep(type, this.#findGroups(type));
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

/** A subscription, and its place in the config. */
interface Entry {
  readonly position: number;
  readonly subscription: Subscription;
}

/** The subscriptions that have one pattern. */
class Group {
  readonly pattern: Pattern;
  readonly #anyScope: Entry[] = [];
  /** By a name in the scope, and a value that it has to have. */
  readonly #byScope = new Map<string, Map<string, Entry[]>>();

  constructor(pattern: Pattern, entries: readonly Entry[]) {
    this.pattern = pattern;
    const variety = varietyOf(entries);
    for (const entry of entries) {
      const name = mostTelling(entry, variety);
      if (name === undefined) this.#anyScope.push(entry);
      else this.#file(name, entry);
    }
  }

  /** Lists in order, of all that an event's scope can be meant for, and maybe others. */
  listsFor(event: Event): (readonly Entry[])[] {
    const lists: (readonly Entry[])[] = this.#anyScope.length > 0 ? [this.#anyScope] : [];
    for (const [name, byValue] of this.#byScope) {
      const value = event.scope.get(name);
      const list = value === undefined ? undefined : byValue.get(canonicalScalar(value));
      if (list) lists.push(list);
    }
    return lists;
  }

  #file(name: string, entry: Entry): void {
    let byValue = this.#byScope.get(name);
    if (!byValue) this.#byScope.set(name, byValue = new Map());
    for (const value of new Set(entry.subscription.scope.get(name))) {
      const list = byValue.get(value);
      if (list) list.push(entry);
      else byValue.set(value, [entry]);
    }
  }
}

/** How many values each name in the scopes may have: an account tells more apart than a region. */
function varietyOf(entries: readonly Entry[]): Map<string, number> {
  const values = new Map<string, Set<string>>();
  for (const { subscription } of entries) {
    for (const [name, wanted] of subscription.scope) {
      let known = values.get(name);
      if (!known) values.set(name, known = new Set());
      for (const value of wanted) known.add(value);
    }
  }
  return new Map([...values].map(([name, known]) => [name, known.size]));
}

function mostTelling({ subscription }: Entry, variety: Map<string, number>): string | undefined {
  let best: string | undefined;
  for (const name of subscription.scope.keys()) {
    if (best === undefined || variety.get(name)! > variety.get(best)!) best = name;
  }
  return best;
}

/** Each subscription once, in the config's order. */
function inOrder(lists: readonly (readonly Entry[])[]): Subscription[] {
  const [only, ...more] = lists;
  if (only === undefined) return [];
  const entries = more.length === 0
    ? only
    : [...new Set(lists.flat())].sort((a, b) => a.position - b.position);
  return entries.map(({ subscription }) => subscription);
}

/** The groups of types that came before; publishers choose types, so there is an end to it. */
class RememberedGroups {
  #byType = new Map<string, readonly Group[]>();
  #size = 0;

  get(type: string): readonly Group[] | undefined {
    return this.#byType.get(type);
  }

  keep(type: string, groups: readonly Group[]): readonly Group[] {
    this.#size += 1 + groups.length;
    if (this.#size > MAX_REMEMBERED) {
      this.#byType.clear();
      this.#size = 1 + groups.length;
    }
    this.#byType.set(type, groups);
    return groups;
  }
}

/** Types, and groups under them. */
const MAX_REMEMBERED = 20_000;
