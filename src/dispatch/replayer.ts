import type { Outbox, Replay } from "../outbox/outbox.ts";
import type { OutboxReader } from "../outbox/reader.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";

/** Deliveries a step sends again, and the wait between two steps: at most 200 a second. */
const STEP = 50;
/** Pending deliveries that a step retries or cancels, which adds nothing: at most 1 000 a second. */
const PENDING_STEP = 250;
const BETWEEN_STEPS_MS = 250;
/** After a step that found nothing to do among the rows it looked at. */
const AFTER_NOTHING_MS = 25;
/** While a subscription has more pending than this, what is replayed for it waits. */
const MAX_BACKLOG = 2_000;
const AFTER_FAULT_MS = 5_000;

export interface ReplayerPorts {
  readonly outbox: Outbox;
  readonly reader: OutboxReader;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly log: Log;
  /** Whether a subscription holds its deliveries: a retry leaves these alone. */
  readonly isHeld: (subscription: string) => boolean;
  /** Told of each subscription that has deliveries due at once. */
  readonly onDue: (subscription: string) => void;
  /** Told of deliveries that were cancelled. */
  readonly onCancelled: (deliveries: ReadonlySet<string>) => void;
}

/** Carries replays out step by step, each in its turn; where it left off is in the outbox. */
export class Replayer {
  readonly #ports: ReplayerPorts;
  #cancelTimer: (() => void) | undefined;
  #isWorking = false;
  /** The replay that the last step was of. */
  #last: string | undefined;
  /** A replay was begun while it worked, after it had looked for open ones. */
  #isWokenAgain = false;
  #stopped = false;

  constructor(ports: ReplayerPorts) {
    this.#ports = ports;
  }

  /** Goes on with what is open; call it at the start and whenever a replay was begun. */
  wake(): void {
    if (this.#isWorking) this.#isWokenAgain = true;
    else if (!this.#stopped) void this.#work();
  }

  stop(): void {
    this.#stopped = true;
    this.#cancelTimer?.();
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    this.#cancelTimer?.();
    let waitMs: number | undefined;
    try {
      waitMs = await this.#step();
    } catch (error) {
      this.#ports.log.replayFailed(error);
      waitMs = AFTER_FAULT_MS;
    }
    this.#isWorking = false;
    if (this.#isWokenAgain) waitMs ??= BETWEEN_STEPS_MS;
    this.#isWokenAgain = false;
    if (waitMs === undefined || this.#stopped) return;
    this.#cancelTimer = this.#ports.clock.after(waitMs, () => this.wake());
  }

  /** One step of the replay whose turn it is; answers how long to wait, undefined where none is open. */
  async #step(): Promise<number | undefined> {
    const { outbox, reader, steady, isHeld } = this.#ports;
    const open = await reader.openReplays();
    if (open.length === 0) return undefined;
    const pending = await reader.pending();
    for (const { id, filter } of this.#inTurn(open)) {
      const isOfPending = filter.state === "pending";
      const backlog = pending.get(filter.subscription ?? "") ?? 0;
      if (!isOfPending && backlog > MAX_BACKLOG) continue;
      const limit = isOfPending ? PENDING_STEP : STEP;
      this.#last = id;
      const step = await outbox.stepReplay(id, { limit, at: steady.now(), isHeld });
      if (step.cancelled.length > 0) this.#ports.onCancelled(new Set(step.cancelled));
      else for (const subscription of step.subscriptions) this.#ports.onDue(subscription);
      if (step.finished && open.length === 1) return undefined;
      return step.subscriptions.length > 0 ? BETWEEN_STEPS_MS : AFTER_NOTHING_MS;
    }
    return BETWEEN_STEPS_MS;
  }

  /** Open replays, the one after the last that had a step first: a short one waits for no long one. */
  #inTurn(open: readonly Replay[]): Replay[] {
    const next = open.findIndex(({ id }) => id === this.#last) + 1;
    return [...open.slice(next), ...open.slice(0, next)];
  }
}
