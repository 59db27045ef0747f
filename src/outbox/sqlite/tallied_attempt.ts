import type { Instant } from "../../domain/instant.ts";
import type { Verdict } from "../../domain/verdict.ts";

/** What an attempt adds to the tallies. */
export interface TalliedAttempt {
  readonly subscription: number;
  readonly at: Instant;
  readonly number: number;
  readonly succeeded: boolean;
  /** Undefined where no answer came. */
  readonly status: number | undefined;
  readonly durationMs: number;
  /** What became of the delivery; undefined where it was cancelled meanwhile. */
  readonly verdict: Verdict["kind"] | undefined;
}
