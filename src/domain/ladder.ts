import type { Instant } from "./instant.ts";

/** The waits between the attempts of one delivery, in milliseconds, each from the end of the last. */
export interface Ladder {
  readonly waitsMs: readonly number[];
  /** After the last wait: one more attempt each time this has passed … */
  readonly thenEveryMs?: number;
  /** … while the next one still falls within this much of the first attempt. */
  readonly forMs?: number;
}

const MINUTE = 60_000, HOUR = 3_600_000;

/** 1 m, 5 m, 30 m, 2 h, 24 h: five retries after the first attempt (RoostSync's published policy). */
export const HOUSE_LADDER: Ladder = {
  waitsMs: [MINUTE, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 24 * HOUR],
};

/**
 * The wait after the given failed attempt (1 is the first), jitter included; undefined where the
 * ladder is at its end. `jitter` is the greatest share of the rung that may be added, `chance` in
 * [0, 1) how much of it: a wait is never shorter than its rung.
 */
export function waitAfter(
  attempt: number,
  ladder: Ladder,
  { jitter, chance }: { jitter: number; chance: number },
): number | undefined {
  const rungMs = ladder.waitsMs[attempt - 1] ?? ladder.thenEveryMs;
  return rungMs === undefined ? undefined : rungMs + Math.floor(rungMs * jitter * chance);
}

/** Whether an attempt due then is still on a ladder whose first attempt started at `firstAt`. */
export function isWithin(ladder: Ladder, firstAt: Instant, dueAt: Instant): boolean {
  return ladder.forMs === undefined || dueAt - firstAt <= ladder.forMs;
}

/** A delivery's share of jitter for one attempt, in [0, 1): the same after a restart. */
export function chanceOf(deliveryId: string, attempt: number): number {
  // FNV-1a over the id and the attempt, then murmur3's finaliser to spread neighbouring ids.
  let hash = 0x811c9dc5 ^ attempt;
  for (let i = 0; i < deliveryId.length; i++) {
    hash = Math.imul(hash ^ deliveryId.charCodeAt(i), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
