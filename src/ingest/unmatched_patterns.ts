import type { Config } from "../config/config.ts";
import { nearest } from "../config/suggestion.ts";
import type { Instant } from "../domain/instant.ts";
import { quoted } from "../domain/quoted.ts";
import type { OutboxReader } from "../outbox/reader.ts";
import type { Turn } from "../runtime/turn.ts";

const DAY_MS = 86_400_000;
/** A pattern is reported after matching nothing for this many days. */
const REPORTED_AFTER_DAYS = 30;
/** With more types than this, publishers generate type names, and no pattern is reported. */
const MAX_TYPES = 5_000;
/** The most subscriptions that are named for one pattern. */
const MAX_NAMED = 3;
/** The most patterns that get a suggestion: each is compared with every type. */
const MAX_SUGGESTIONS = 10;

/** A pattern that matched no event of the last `days` days. */
export interface UnmatchedPattern {
  readonly pattern: string;
  /** The first few subscriptions that have it. */
  readonly subscriptions: readonly string[];
  /** How many subscriptions have it. */
  readonly count: number;
  readonly days: number;
  /** The type that was probably meant. */
  readonly near?: string;
}

export interface Examined {
  readonly reader: Pick<OutboxReader, "seenTypes">;
  readonly config: Pick<Config, "subscriptions" | "storage">;
  readonly now: Instant;
  readonly turn: Turn;
}

/**
 * Finds patterns of enabled subscriptions that matched no event in the last 30 days, or in the
 * retention period if that is shorter. Returns none while the database is younger than that.
 */
export async function unmatchedPatterns(
  { reader, config: { subscriptions, storage }, now, turn }: Examined,
): Promise<UnmatchedPattern[]> {
  const days = Math.min(REPORTED_AFTER_DAYS, Math.floor(storage.keepDeliveredMs / DAY_MS));
  if (days === 0) return [];
  const since = now - days * DAY_MS;
  const seen = await reader.seenTypes({ since, most: MAX_TYPES });
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
        if (known.subscriptions.length < MAX_NAMED) known.subscriptions.push(id);
      } else if (seen.types.has(pattern.text) || types.some((type) => pattern.matches(type))) {
        matched.add(pattern.text);
      } else unmatched.set(pattern.text, { subscriptions: [id], count: 1 });
    }
    if (turn.isOver) await turn.rest();
  }
  const found: UnmatchedPattern[] = [];
  for (const [pattern, of] of unmatched) {
    const near = found.length < MAX_SUGGESTIONS ? nearest(pattern, types) : undefined;
    found.push({ pattern, ...of, days, ...(near !== undefined && { near }) });
    if (turn.isOver) await turn.rest();
  }
  return found;
}

/** Describes an unmatched pattern: what was found, and how to fix it. */
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

/** How long a result is cached: it changes slowly. */
const CACHED_MS = 10 * 60_000;

/** Caches the unmatched patterns for a few minutes. */
export class PatternWatch {
  #known:
    | {
      /** Held weakly: nobody may ask again. */
      readonly subscriptions: WeakRef<Config["subscriptions"]>;
      readonly at: Instant;
      readonly patterns: UnmatchedPattern[];
    }
    | undefined;
  #inProgress: Promise<UnmatchedPattern[]> | undefined;

  /** At most ten minutes old, for the current subscriptions; empty if the outbox can't be read. */
  async patterns(examined: Examined): Promise<readonly UnmatchedPattern[]> {
    const { config, now } = examined;
    const known = this.#known;
    const holds = known?.subscriptions.deref() === config.subscriptions &&
      Math.abs(now - known!.at) < CACHED_MS;
    if (holds) return known!.patterns;
    this.#inProgress ??= unmatchedPatterns(examined).catch(() => []).finally(() => {
      this.#inProgress = undefined;
    });
    const patterns = await this.#inProgress;
    this.#known = { subscriptions: new WeakRef(config.subscriptions), at: now, patterns };
    return patterns;
  }
}
