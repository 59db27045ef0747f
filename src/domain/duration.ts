const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const UNIT_BYTES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const;

/** The longest that anything may take or wait: instants stay far from what JavaScript's dates can hold. */
export const LONGEST_MS = 3_650 * UNIT_MS.d;

/** Milliseconds of `"500ms"`, `"30s"`, `"5m"`, `"2h"`, `"30d"`; undefined where the text is none. */
export function parseDuration(text: string): number | undefined {
  const parts = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text);
  return parts ? Number(parts[1]) * UNIT_MS[parts[2] as keyof typeof UNIT_MS] : undefined;
}

/** The shortest exact spelling of a length: 90 000 ms is `"90s"`, 7 200 000 ms is `"2h"`. */
export function formatDuration(ms: number): string {
  for (const unit of ["d", "h", "m", "s"] as const) {
    // A day is "24h", as ladders have it.
    const least = unit === "d" ? 2 * UNIT_MS.d : UNIT_MS[unit];
    if (ms >= least && ms % UNIT_MS[unit] === 0) return `${ms / UNIT_MS[unit]}${unit}`;
  }
  return `${ms}ms`;
}

/** So many per length of time. */
export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/** The rate that `"10/s"`, `"600/m"`, `"1000/h"` or `"5000/d"` names; undefined where the text is none. */
export function parseRate(text: string): Rate | undefined {
  const parts = /^0*([1-9]\d{0,6})\/([smhd])$/.exec(text);
  if (!parts) return undefined;
  return { count: Number(parts[1]), perMs: UNIT_MS[parts[2] as keyof typeof UNIT_MS] };
}

/** A rate as configs have it: 5 000 in 86 400 000 ms is `"5000/d"`. */
export function formatRate({ count, perMs }: Rate): string {
  const unit = (["d", "h", "m", "s"] as const).find((unit) => UNIT_MS[unit] === perMs);
  return `${count}/${unit ?? formatDuration(perMs)}`;
}

/** Bytes of `"512B"`, `"64KiB"`, `"1MiB"`; undefined where the text is no size. */
export function parseSize(text: string): number | undefined {
  const parts = /^(\d{1,12})(B|KiB|MiB|GiB)$/.exec(text);
  return parts ? Number(parts[1]) * UNIT_BYTES[parts[2] as keyof typeof UNIT_BYTES] : undefined;
}

/** The shortest exact spelling of a size: 65 536 is `"64KiB"`. */
export function formatSize(bytes: number): string {
  for (const unit of ["GiB", "MiB", "KiB"] as const) {
    if (bytes >= UNIT_BYTES[unit] && bytes % UNIT_BYTES[unit] === 0) {
      return `${bytes / UNIT_BYTES[unit]}${unit}`;
    }
  }
  return `${bytes}B`;
}
