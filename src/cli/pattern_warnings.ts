import type { Config } from "../config/config.ts";
import { unmatchedPatterns, unmatchedText } from "../ingest/unmatched_patterns.ts";
import { IN_MEMORY } from "../outbox/sqlite/connection.ts";
import { openReader } from "../outbox/sqlite/reader.ts";
import type { Clock } from "../runtime/clock.ts";
import { Turn } from "../runtime/turn.ts";

/** A pattern that matched nothing for long, and what to do about it. */
export interface PatternWarning {
  readonly message: string;
  readonly fix: string;
}

/** What the config's database says of its patterns; nothing where it is not there or can't be read. */
export async function patternWarnings(config: Config, clock: Clock): Promise<PatternWarning[]> {
  const { path } = config.storage;
  if (path === IN_MEMORY) return [];
  try {
    const reader = openReader(path);
    try {
      const turn = new Turn(clock);
      const found = await unmatchedPatterns({ reader, config, now: clock.wall(), turn });
      return found.map(unmatchedText);
    } finally {
      reader.close();
    }
  } catch {
    return [];
  }
}
