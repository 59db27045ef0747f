import type { Rate } from "../domain/duration.ts";
import type { Instant } from "../domain/instant.ts";
import type { Claim } from "../outbox/outbox.ts";

/** For so long nothing is started where this machine lacks something: the shortest, the longest. */
const MIN_REST_MS = 250;
const MAX_REST_MS = 30_000;

/** One subscription's way out: its queue, its slots and its pace, which no other can use up. */
export class SubscriptionQueue {
  readonly id: string;
  /** Attempts under way. */
  inFlight = 0;
  /** When the earliest delivery that waits in the outbox is due, as far as is known. */
  dueInOutboxAt: Instant | undefined;
  /** The last attempt that ended had run into its deadline. */
  hangs = false;
  /** Since when nothing but the daemon itself keeps its deliveries waiting. */
  freeSince: Instant = 0;
  /** A claim on the outbox is under way. */
  fetching = false;
  /** It stands in the scheduler's ring of queues that can start an attempt. */
  ready = false;
  #claims: Claim[] = [];
  #head = 0;
  #startedAt: Instant[] = [];
  #restsUntil: Instant = 0;
  #restMs = 0;
  /** Attempts that are about to start, each once that is on the disk. */
  #reserved = 0;

  constructor(id: string) {
    this.id = id;
  }

  get queued(): number {
    return this.#claims.length - this.#head;
  }

  push(claims: readonly Claim[]): void {
    for (const claim of claims) this.#claims.push(claim);
  }

  /** The next in the queue, if there is one. */
  peek(): Claim | undefined {
    return this.#claims[this.#head];
  }

  take(): Claim {
    const claim = this.#claims[this.#head]!;
    this.#head++;
    // Moving the rest is paid for by as many takes.
    if (this.#head > 64 && this.#head * 2 > this.#claims.length) {
      this.#claims = this.#claims.slice(this.#head);
      this.#head = 0;
    }
    return claim;
  }

  /** Takes out of the queue what the test holds for. */
  drain(test: (claim: Claim) => boolean): Claim[] {
    const waiting = this.#claims.slice(this.#head);
    this.#head = 0;
    this.#claims = waiting.filter((claim) => !test(claim));
    return waiting.filter(test);
  }

  /** When the rate limit lets the next attempt start; 0 where it does so now, Infinity where unknown. */
  paceAt(limit: Rate | undefined): Instant {
    // Those that are about to start do so after all that have.
    const index = limit ? this.#startedAt.length + this.#reserved - limit.count : -1;
    if (!limit || index < 0) return 0;
    return index < this.#startedAt.length ? this.#startedAt[index]! + limit.perMs : Infinity;
  }

  /** Takes a place under the rate limit, until the attempt has started or does not. */
  reserveStart(): () => void {
    this.#reserved++;
    return () => void this.#reserved--;
  }

  /** The process before had started attempts at these instants. */
  rememberStarts(startedAt: readonly Instant[]): void {
    this.#startedAt = [...startedAt];
  }

  /** What this machine lacked for an attempt may be there again then; 0 where it lacked nothing. */
  get restsUntil(): Instant {
    return this.#restsUntil;
  }

  /** This machine lacked something for an attempt: answers until when none is started. */
  rest(now: Instant, leastMs = MIN_REST_MS): Instant {
    // Several that ran at once rest as one.
    if (now >= this.#restsUntil) {
      this.#restMs = Math.min(MAX_REST_MS, Math.max(leastMs, 2 * this.#restMs));
      this.#restsUntil = now + this.#restMs;
    }
    return this.#restsUntil;
  }

  /** An attempt had what it needed. */
  endRests(): void {
    this.#restMs = 0;
    this.#restsUntil = 0;
  }

  /** Counts a start against the rate limit: never more than `count` within any `perMs`. */
  noteStart(limit: Rate, now: Instant): void {
    this.#startedAt.push(now);
    if (this.#startedAt.length > 2 * limit.count + 64) {
      this.#startedAt = this.#startedAt.slice(-limit.count);
    }
  }

  /** There is no rate limit any more. */
  forgetStarts(): void {
    if (this.#startedAt.length > 0) this.#startedAt = [];
  }

  /** The wall clock was stepped: what waits is due by as much later or earlier. */
  shift(from: Instant, byMs: number): void {
    // What is due already stays so: set back alone, the clock would make it wait.
    const moves = this.dueInOutboxAt !== undefined && (this.dueInOutboxAt > from || byMs < 0);
    if (moves) this.dueInOutboxAt! += byMs;
    if (this.#restsUntil > 0) this.#restsUntil += byMs;
    this.freeSince += byMs;
    this.#startedAt = this.#startedAt.map((at) => at + byMs);
  }
}
