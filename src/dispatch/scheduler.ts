import type { Instant } from "../domain/instant.ts";
import type { Subscription } from "../domain/subscription.ts";
import type { Claim, Outbox } from "../outbox/outbox.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { SteadyClock } from "../runtime/steady_clock.ts";
import { Turn } from "../runtime/turn.ts";
import { type Lack, MachineFault } from "../transport/transport.ts";
import { ClockSteps } from "./clock_steps.ts";
import { DueHeap } from "./due_heap.ts";
import { Lag } from "./lag.ts";
import { RateLimits } from "./rate_limits.ts";
import { SubscriptionQueue } from "./subscription_queue.ts";
import type { TimeMarks } from "./time_marks.ts";

/** How many deliveries may wait in memory, in all and for one subscription; the rest wait on disk. */
const MAX_QUEUED = 4_096;
const MAX_QUEUED_PER_SUBSCRIPTION = 256;
/** How many rows one claim on the outbox takes. */
const CLAIM_SIZE = 128;
/** How long a queue waits after a fault of our own or of the database. */
const FAULT_PAUSE_MS = 5_000;
/** How often it is logged that this machine lacks something. */
const TELL_AGAIN_MS = 60_000;
/** What the scheduler asks of the rest of the daemon. */
export interface SchedulerPorts {
  readonly outbox: Outbox;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly timeMarks: TimeMarks;
  readonly log: Log;
  /** Undefined for a subscription that the config no longer has. */
  readonly subscription: (id: string) => Subscription | undefined;
  /** Whether an operator or a 410 has paused it. */
  readonly isPaused: (id: string) => boolean;
  /** Carries one attempt out and records it. */
  readonly attempt: (claim: Claim, subscription: Subscription) => Promise<Attempted>;
  readonly totalConcurrency: () => number;
  /** Told of each attempt that could not begin, since this machine lacked something. */
  readonly onHeldBack?: () => void;
  /** Told where deliveries ended because their data is damaged. */
  readonly onExhausted?: () => void;
  /** Called every 10 s while it goes its rounds: whoever watches over the daemon hears it live. */
  readonly onBeat?: (() => void) | undefined;
}

/** What the scheduler has to know of an attempt that has ended. */
export interface Attempted {
  /** When the delivery is due again, if it is. */
  readonly dueAt?: Instant | undefined;
  /** It ran into its deadline. */
  readonly hung: boolean;
  /** It failed, or the receiver took its time. */
  readonly slow?: boolean;
}

/**
 * Decides when: which delivery starts its next attempt now. Every subscription has a queue of its
 * own; queues that can start one are served in turn, so that none waits for another's backlog.
 */
export class Scheduler {
  readonly #ports: SchedulerPorts;
  readonly #queues = new Map<string, SubscriptionQueue>();
  /** Queues that may have something to start, in turn. */
  #ring: SubscriptionQueue[] = [];
  /** Queues whose deliveries are to be read from the outbox, in turn. */
  readonly #toFetch = new Set<SubscriptionQueue>();
  #isFetching = false;
  /** Queues by the instant at which they are to be looked at again. */
  readonly #wakes = new DueHeap<SubscriptionQueue>();
  #queued = 0;
  #inFlight = 0;
  readonly #lag = new Lag();
  /** Queues with attempts under way. */
  #busyQueues = 0;
  #running = false;
  readonly #clockSteps: ClockSteps;
  readonly #rateLimits: RateLimits;
  #cancelTimer: (() => void) | undefined;
  #timerAt = Infinity;
  /** Resolved once nothing is in flight any more; set while someone waits for it. */
  #idle: PromiseWithResolvers<void> | undefined;
  /** By what the machine lacks, when it may be logged again. */
  readonly #tellAgainAtMs = new Map<Lack, number>();
  readonly #grace = Promise.withResolvers<void>();

  constructor(ports: SchedulerPorts) {
    this.#ports = ports;
    this.#rateLimits = new RateLimits(ports.outbox, ports.steady);
    this.#clockSteps = new ClockSteps({
      ...ports,
      isRunning: () => this.#running,
      shift: (from, byMs) => this.#shift(from, byMs),
      refresh: () => this.#afterStep(),
      onBeat: ports.onBeat,
    });
  }

  /** Attempts under way. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Whether deliveries that are due wait in memory to be sent. */
  get isBehind(): boolean {
    return this.#queued > 0;
  }

  /** How long what is sent now has waited for the daemon alone; 0 where nothing waits. */
  get lagMs(): number {
    return this.isBehind ? this.#lag.msAt(this.#now()) : 0;
  }

  /** Reads what is pending from the outbox and begins. */
  async start(): Promise<void> {
    this.#running = true;
    const { isTakingOver } = this.#ports.timeMarks;
    await this.#rateLimits.begin({ isTakingOver, queue: (id) => this.#queue(id) });
    if (this.#ports.steady.steppedByMs() === 0) {
      await this.#ports.timeMarks.keep();
      await this.refresh();
    } else {
      // The wall clock was stepped while nobody was there: nothing is read before due times have moved.
      this.#clockSteps.follow();
    }
    this.#clockSteps.watch();
  }

  /** Whether there is room in memory for one more delivery of this subscription. */
  hasRoom(subscriptionId: string): boolean {
    const queue = this.#queue(subscriptionId);
    // While older ones wait on disk, new ones queue behind them there.
    const behind = queue.dueInOutboxAt !== undefined && queue.dueInOutboxAt <= this.#now();
    return this.#running && !behind && !queue.fetching && !this.#isHeld(queue.id) &&
      this.#queued < MAX_QUEUED && queue.queued < MAX_QUEUED_PER_SUBSCRIPTION;
  }

  /** Takes over deliveries that were stored just now, claimed or not. */
  accept(claims: readonly Claim[], unclaimed: readonly string[]): void {
    for (const claim of claims) {
      const queue = this.#queue(claim.delivery.subscription);
      this.#enqueue(queue, [claim]);
      // Held since they were claimed, they would stand in the way of a test.
      if (this.#isHeld(queue.id)) this.#look(queue);
    }
    // Those of a held queue stay where they are until it is held no longer.
    for (const id of unclaimed) if (!this.#isHeld(id)) this.noteDue(id, this.#now());
    this.#pump();
  }

  /** Tells of a delivery that waits in the outbox and is due then. */
  noteDue(subscriptionId: string, at: Instant): void {
    const queue = this.#queue(subscriptionId);
    if (queue.dueInOutboxAt !== undefined && queue.dueInOutboxAt <= at) return; // it wakes before
    queue.dueInOutboxAt = at;
    this.#look(queue);
  }

  /** Lets go of deliveries that ended while they waited in memory. */
  forget(deliveryIds: ReadonlySet<string>): void {
    for (const queue of this.#queues.values()) {
      const forgotten = queue.drain((claim) => deliveryIds.has(claim.delivery.id)).length;
      this.#queued -= forgotten;
      // More may wait in the outbox, which there was no room for.
      if (forgotten > 0) this.#look(queue);
    }
    this.#pump();
  }

  /** When the first delivery that waits for this subscription in the outbox is due. */
  nextDueAt(subscriptionId: string): Instant | undefined {
    return this.#queues.get(subscriptionId)?.dueInOutboxAt;
  }

  /** Looks at one subscription anew: after it was paused or resumed. */
  reconsider(subscriptionId: string): void {
    this.noteDue(subscriptionId, this.#now());
    this.#look(this.#queue(subscriptionId));
    this.#pump();
  }

  /** Looks at every queue anew: after a reload, or a step of the clock. */
  async refresh(): Promise<void> {
    try {
      for (const [id, at] of await this.#ports.outbox.nextDue()) this.noteDue(id, at);
    } finally {
      // What is known of them is seen to in any case. Each look may read from the outbox.
      const turn = new Turn(this.#ports.clock);
      for (const queue of [...this.#queues.values()]) {
        this.#look(queue);
        if (!turn.isOver) continue;
        this.#pump();
        await turn.rest();
      }
      this.#pump();
    }
  }

  /** Ends without starting anything more; what waits in memory is given back. */
  async stop({ graceMs }: { graceMs: number }): Promise<void> {
    this.#running = false;
    this.#cancelTimer?.();
    this.#clockSteps.stop();
    for (const queue of this.#queues.values()) await this.#giveBack(queue, () => true);
    if (this.#inFlight === 0) return;
    this.#idle = Promise.withResolvers();
    const cancel = this.#ports.clock.after(graceMs, this.#grace.resolve);
    await Promise.race([this.#idle.promise, this.#grace.promise]);
    cancel();
  }

  /** Ends the grace that stop() gives. */
  skipGrace(): void {
    this.#grace.resolve();
  }

  #now(): Instant {
    return this.#ports.steady.now();
  }

  #queue(id: string): SubscriptionQueue {
    let queue = this.#queues.get(id);
    if (!queue) {
      this.#queues.set(id, queue = new SubscriptionQueue(id));
      queue.freeSince = this.#now();
    }
    return queue;
  }

  #isHeld(id: string): boolean {
    const subscription = this.#ports.subscription(id);
    return !subscription || !subscription.enabled || this.#ports.isPaused(id);
  }

  #enqueue(queue: SubscriptionQueue, claims: readonly Claim[]): void {
    queue.push(claims);
    this.#queued += claims.length;
    this.#ready(queue);
  }

  #ready(queue: SubscriptionQueue): void {
    if (queue.ready) return;
    queue.ready = true;
    this.#ring.push(queue);
  }

  /** Sees to what a queue needs now: rows to be read, held ones given back, a wake-up. */
  #look(queue: SubscriptionQueue): void {
    if (!this.#running) return;
    if (this.#isHeld(queue.id)) {
      queue.freeSince = this.#now();
      void this.#giveBack(queue, (claim) => claim.delivery.cause !== "test");
    }
    if (queue.queued > 0) this.#ready(queue);
    if (queue.dueInOutboxAt === undefined || queue.fetching) return;
    if (queue.dueInOutboxAt > this.#now()) this.#wakeAt(queue, queue.dueInOutboxAt);
    else if (this.#wantsMore(queue)) this.#askFor(queue);
  }

  #wantsMore(queue: SubscriptionQueue): boolean {
    const concurrency = this.#ports.subscription(queue.id)?.concurrency ?? 0;
    // Every queue may fetch up to its slots even when memory is full: none starves for another.
    return queue.queued < concurrency ||
      (queue.queued < CLAIM_SIZE && this.#queued < MAX_QUEUED);
  }

  /** Each read is short, but one event can be for every queue there is. */
  #askFor(queue: SubscriptionQueue): void {
    queue.fetching = true;
    this.#toFetch.add(queue);
    if (!this.#isFetching) void this.#fetchAll();
  }

  async #fetchAll(): Promise<void> {
    this.#isFetching = true;
    const turn = new Turn(this.#ports.clock);
    for (const queue of this.#toFetch) {
      this.#toFetch.delete(queue);
      await this.#fetch(queue);
      if (turn.isOver) await turn.rest();
    }
    this.#isFetching = false;
  }

  /** Reads due deliveries from the outbox; of a held queue only tests, which nothing holds. */
  async #fetch(queue: SubscriptionQueue): Promise<void> {
    if (!this.#running || this.#clockSteps.isShifting || !this.#ports.subscription(queue.id)) {
      queue.fetching = false;
      return;
    }
    queue.dueInOutboxAt = undefined;
    try {
      const { claims, nextDueAt, damaged = 0 } = await this.#ports.outbox.claim({
        subscription: queue.id,
        now: this.#now(),
        limit: CLAIM_SIZE,
        testsOnly: this.#isHeld(queue.id),
      });
      if (damaged > 0) {
        this.#ports.log.dataDamaged(queue.id, damaged);
        this.#ports.onExhausted?.();
      }
      if (!this.#running) return await this.#ports.outbox.release(claims);
      if (nextDueAt !== undefined) this.noteDue(queue.id, nextDueAt);
      this.#enqueue(queue, claims);
    } catch (error) {
      this.#ports.log.claimFailed(queue.id, error);
      if (this.#running) this.noteDue(queue.id, this.#now() + FAULT_PAUSE_MS);
    } finally {
      queue.fetching = false;
    }
    this.#look(queue);
    this.#pump();
  }

  async #giveBack(queue: SubscriptionQueue, test: (claim: Claim) => boolean): Promise<void> {
    const claims = queue.drain(test);
    if (claims.length === 0) return;
    this.#queued -= claims.length;
    queue.dueInOutboxAt = Math.min(this.#now(), queue.dueInOutboxAt ?? Infinity);
    await this.#ports.outbox.release(claims).catch((error) =>
      this.#ports.log.claimFailed(queue.id, error)
    );
  }

  /** Starts attempts, one of each queue in turn, while there are slots. */
  #pump(): void {
    if (!this.#running) return;
    const slots = this.#ports.totalConcurrency();
    const waiting: SubscriptionQueue[] = [];
    while (this.#inFlight < slots && this.#ring.length > 0) {
      const queue = this.#ring.shift()!;
      if (!this.#hasShare(queue, slots)) {
        waiting.push(queue);
        continue;
      }
      queue.ready = false;
      // A queue that cannot start one leaves the ring until something of it changes.
      if (this.#startNext(queue)) this.#ready(queue);
    }
    this.#ring.push(...waiting);
  }

  /**
   * Whether a queue may take one of the free slots. While there are plenty, any may. The last quarter
   * is kept for queues below their share; half of that is for one attempt each of those whose
   * receivers have just hung. However many hang at once, those that answer find a slot.
   */
  #hasShare(queue: SubscriptionQueue, slots: number): boolean {
    const free = slots - this.#inFlight;
    const reserve = Math.floor(slots / 4);
    if (free > reserve) return true;
    if (queue.hangs) return queue.inFlight === 0 && free > Math.floor(reserve / 2);
    return queue.inFlight < Math.max(1, Math.floor(slots / (this.#busyQueues + 1)));
  }

  /** Starts the queue's next attempt; false where it has none that may start. */
  #startNext(queue: SubscriptionQueue): boolean {
    const claim = queue.peek();
    const subscription = this.#ports.subscription(queue.id);
    if (!claim || !subscription || queue.inFlight >= subscription.concurrency) return false;
    if (claim.delivery.cause !== "test" && this.#isHeld(queue.id)) return false;
    const { rateLimit } = subscription;
    const paceAt = Math.max(this.#rateLimits.paceAt(queue, rateLimit), queue.restsUntil);
    // The time is asked for only where it matters: it takes as long to tell as all else here.
    if (paceAt > 0 && paceAt > this.#now()) {
      queue.freeSince = this.#now();
      // Where it is not known yet, the queue is looked at again once it is.
      if (paceAt < Infinity) this.#wakeAt(queue, paceAt);
      return false;
    }
    queue.take();
    this.#queued--;
    this.#lag.note(queue, claim, () => this.#now());
    void this.#carryOut(queue, claim, subscription);
    return true;
  }

  async #carryOut(
    queue: SubscriptionQueue,
    claim: Claim,
    subscription: Subscription,
  ): Promise<void> {
    if (queue.inFlight++ === 0) this.#busyQueues++;
    this.#inFlight++;
    let mayStart = false;
    try {
      const kept = this.#rateLimits.noteStart(queue, subscription.rateLimit);
      if (kept) {
        await kept;
        this.#ready(queue);
        this.#pump();
      }
      mayStart = true;
      const { dueAt, hung, slow = hung } = await this.#ports.attempt(claim, subscription);
      queue.hangs = hung;
      if (slow) queue.freeSince = this.#now();
      queue.endRests();
      if (dueAt !== undefined) this.noteDue(queue.id, dueAt);
    } catch (error) {
      const { id } = claim.delivery;
      const isLack = error instanceof MachineFault;
      // The queue rests: what is given back is due, and would be tried again at once.
      const againAt = isLack
        ? this.#holdBack(queue, error)
        : queue.rest(this.#now(), FAULT_PAUSE_MS);
      if (!mayStart) this.#ports.log.startDelayed(id, error);
      else if (!isLack) this.#ports.log.attemptBroke(id, error);
      await this.#ports.outbox.release([claim]).catch(() => {});
      this.noteDue(queue.id, againAt);
    }
    if (--queue.inFlight === 0) this.#busyQueues--;
    this.#inFlight--;
    if (this.#inFlight === 0) this.#idle?.resolve();
    this.#look(queue);
    this.#pump();
  }

  /** Answers when the queue's next attempt may start. Told at most once a minute: nothing is lost. */
  #holdBack(queue: SubscriptionQueue, { lack, message }: MachineFault): Instant {
    this.#ports.onHeldBack?.();
    const nowMs = this.#ports.clock.monotonicMs();
    if (nowMs >= (this.#tellAgainAtMs.get(lack) ?? 0)) {
      this.#tellAgainAtMs.set(lack, nowMs + TELL_AGAIN_MS);
      this.#ports.log.attemptsHeldBack(queue.id, message);
    }
    return queue.rest(this.#now());
  }

  #wakeAt(queue: SubscriptionQueue, at: Instant): void {
    this.#wakes.push(at, queue);
    this.#armTimer();
  }

  #armTimer(): void {
    const at = this.#wakes.nextAt;
    if (!this.#running || at === undefined || at >= this.#timerAt) return;
    this.#cancelTimer?.();
    this.#timerAt = at;
    this.#cancelTimer = this.#ports.clock.after(Math.max(0, at - this.#now()), () => this.#wake());
  }

  #wake(): void {
    this.#timerAt = Infinity;
    this.#cancelTimer = undefined;
    this.#clockSteps.follow();
    const now = this.#now();
    const woken = new Set<SubscriptionQueue>();
    for (let queue = this.#wakes.popDue(now); queue; queue = this.#wakes.popDue(now)) {
      woken.add(queue);
    }
    for (const queue of woken) this.#look(queue);
    this.#armTimer();
    this.#pump();
  }

  /** After a step of the clock everything that is known of due times is made anew. */
  async #afterStep(): Promise<void> {
    this.#wakes.clear();
    this.#cancelTimer?.();
    this.#timerAt = Infinity;
    await this.refresh();
  }

  #shift(from: Instant, byMs: number): void {
    this.#rateLimits.shift(byMs);
    for (const queue of this.#queues.values()) queue.shift(from, byMs);
  }
}
