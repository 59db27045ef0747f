/** Answer times are counted in buckets, four to a doubling: a quantile is right to a tenth. */
const BUCKETS_A_DOUBLING = 4;

/** The bucket that an answer time counts in; 0 holds all up to a millisecond. */
export function answerTimeBucket(durationMs: number): number {
  return durationMs <= 1 ? 0 : Math.ceil(Math.log2(durationMs) * BUCKETS_A_DOUBLING - EPSILON);
}

/** A power of two must not land one bucket too high for a rounding error. */
const EPSILON = 1e-9;

/**
 * The answer time in milliseconds that this share of all stayed within, from counts by bucket;
 * undefined where there are none.
 */
export function answerTimeQuantile(
  counts: ReadonlyMap<number, number>,
  share: number,
): number | undefined {
  const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
  if (total === 0) return undefined;
  let left = share * total;
  for (const [bucket, count] of [...counts].sort(([a], [b]) => a - b)) {
    if (left <= count) return Math.round(2 ** ((bucket - 1 + left / count) / BUCKETS_A_DOUBLING));
    left -= count;
  }
  return undefined;
}
