import type { Config } from "../config/config.ts";
import { nearest } from "../config/suggestion.ts";
import type { Instant } from "../domain/instant.ts";
import { quoted } from "../domain/quoted.ts";
import type { OutboxReader } from "../outbox/outbox.ts";
import type { Turn } from "../runtime/turn.ts";

const DAY_MS = 86_400_000;
/** So long a pattern may match nothing before it is doubtful. */
const LONGEST_DAYS = 30;
/** Where there are more types, publishers make them up, and nothing is said of patterns. */
const MOST_TYPES = 5_000;
/** So many subscriptions are named for a pattern. */
const MOST_NAMED = 3;
/** For so many it is worked out what was meant, which compares a pattern with every type. */
const MOST_CORRECTED = 10;

/** A pattern that fits none of the events of so many days. */
export interface UnmatchedPattern {
  readonly pattern: string;
  /** The first of the subscriptions that have it … */
  readonly subscriptions: readonly string[];
  /** … and how many there are. */
  readonly count: number;
  readonly days: number;
  /** A type that was probably meant. */
  readonly near?: string;
}

export interface Examined {
  readonly reader: Pick<OutboxReader, "seenTypes">;
  readonly config: Pick<Config, "subscriptions" | "storage">;
  readonly now: Instant;
  readonly turn: Turn;
}

/**
 * Patterns of enabled subscriptions that fit no event of the last 30 days, or of as many days as events
 * are kept. None where the database is younger than that: nothing can be said of it yet.
 */
export async function unmatchedPatterns(
  { reader, config: { subscriptions, storage }, now, turn }: Examined,
): Promise<UnmatchedPattern[]> {
  const days = Math.min(LONGEST_DAYS, Math.floor(storage.keepDeliveredMs / DAY_MS));
  if (days === 0) return [];
  const since = now - days * DAY_MS;
  const seen = await reader.seenTypes({ since, most: MOST_TYPES });
  if (seen?.recordedSince === undefined || seen.recordedSince > since) return [];
  const types = [...seen.types];
  const unmatched = new Map<string, { subscriptions: string[]; count: number }>();
  const matched = new Set<string>();
  for (const { id, events, enabled } of subscriptions) {
    if (!enabled) continue;
    for (const pattern of events) {
      if (matched.has(pattern.text)) continue;
      const known = unmatched.get(pattern.text);
      if (known) {
        known.count++;
        if (known.subscriptions.length < MOST_NAMED) known.subscriptions.push(id);
      } else if (seen.types.has(pattern.text) || types.some((type) => pattern.matches(type))) {
        matched.add(pattern.text);
      } else unmatched.set(pattern.text, { subscriptions: [id], count: 1 });
    }
    if (turn.isOver) await turn.rest();
  }
  const found: UnmatchedPattern[] = [];
  for (const [pattern, of] of unmatched) {
    const near = found.length < MOST_CORRECTED ? nearest(pattern, types) : undefined;
    found.push({ pattern, ...of, days, ...(near !== undefined && { near }) });
    if (turn.isOver) await turn.rest();
  }
  return found;
}

/** The same in words: what was found, and what was probably meant. */
export function unmatchedText(
  { pattern, subscriptions, count, days, near }: UnmatchedPattern,
): { message: string; fix: string } {
  const named = subscriptions.map((id) => quoted(id)).join(", ");
  const more = count > subscriptions.length ? ` and ${count - subscriptions.length} more` : "";
  return {
    message: `the pattern ${quoted(pattern)} of ${named}${more} matched no event in ${days} days`,
    fix: near === undefined
      ? "check how publishers spell the type, or take the pattern out"
      : `did you mean ${quoted(near)}?`,
  };
}

/** How long an answer holds: a pattern that was doubtful is so for days. */
const HOLDS_MS = 10 * 60_000;

/** Keeps the answer for whoever looks again soon. */
export class PatternWatch {
  #known:
    | {
      /** Held weakly: nobody may ask again. */
      readonly subscriptions: WeakRef<Config["subscriptions"]>;
      readonly at: Instant;
      readonly patterns: UnmatchedPattern[];
    }
    | undefined;
  #underWay: Promise<UnmatchedPattern[]> | undefined;

  /** As of the last ten minutes and of the subscriptions in force; none where it can't be read. */
  async patterns(examined: Examined): Promise<readonly UnmatchedPattern[]> {
    const { config, now } = examined;
    const known = this.#known;
    const holds = known?.subscriptions.deref() === config.subscriptions &&
      Math.abs(now - known!.at) < HOLDS_MS;
    if (holds) return known!.patterns;
    this.#underWay ??= unmatchedPatterns(examined).catch(() => []).finally(() => {
      this.#underWay = undefined;
    });
    const patterns = await this.#underWay;
    this.#known = { subscriptions: new WeakRef(config.subscriptions), at: now, patterns };
    return patterns;
  }
}
