import type { Config } from "../../src/config/config.ts";
import { Notices } from "../../src/dispatch/notices.ts";
import type { Outcome } from "../../src/domain/attempt.ts";
import type { DeliveryCause, DeliveryState } from "../../src/domain/delivery.ts";
import type { Instant } from "../../src/domain/instant.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import type { PostedEvent } from "../../src/ingest/posted_event.ts";
import type { Claim, Recording } from "../../src/outbox/outbox.ts";
import type { TimeMark } from "../../src/runtime/boot_time.ts";
import type { Random } from "../../src/runtime/random.ts";
import type { Done } from "./disk.ts";
import { TOTALS } from "./houses.ts";
import type { Sent } from "./network.ts";
import type { Storage, StoredRow } from "../support/storages.ts";
import { BOOTED_BEFORE_MS, type World } from "./world.ts";

/** A delivery as the witness knows it, from what was committed and what was sent. */
export interface Known {
  readonly id: string;
  readonly seq: number;
  readonly event: string;
  readonly subscription: string;
  readonly cause: DeliveryCause;
  /** The first of the deliveries that it sends again, or itself. */
  readonly root: string;
  /** On the true time. */
  readonly storedMs: number;
  state: DeliveryState;
  /** Whoever cancelled it was told that it is so. */
  isCancelKnown: boolean;
  attempts: number;
  /** When the first attempt on record was sent. */
  firstSentMs: number | undefined;
  /** On the true time; a wait that has not been noticed to be wrong by a set clock is left out. */
  notBeforeMs: number;
  notAfterMs: number;
  /** The attempt under way, by the process that lives. */
  open: OpenAttempt | undefined;
}

interface OpenAttempt {
  readonly sent: Sent;
  readonly subscription: Subscription;
}

/** Sees every commit and every request, and says which law was broken. */
export class Witness {
  /** Sentences; none where all is well. */
  readonly broken: string[] = [];
  readonly deliveries = new Map<string, Known>();
  readonly #bySeq = new Map<number, Known>();
  readonly pending = new Set<Known>();
  requests = 0;
  commits = 0;
  readonly #world: World;
  readonly #storage: Storage;
  readonly #random: Random;
  readonly #trace: (line: string) => void;
  #config: Config | undefined;
  #channels: Notices | undefined;
  #lastSeq = 0;
  #rendered: Claim | undefined;
  readonly #bodies = new Map<string, string>();
  readonly #dedupeIds = new Map<string, string>();
  readonly #paused = new Set<string>();
  readonly #resuming = new Map<string, number>();
  readonly #open = new Map<Sent, string>();
  readonly #starts = new Map<string, { limit: string; atMs: number[] }>();
  /** How far the due times in the database are ahead of the true time. */
  #scaleMs: number | undefined;
  /** How far clocks were set in all, either way. */
  steppedMs = 0;

  constructor(
    { world, storage, random, trace }: {
      readonly world: World;
      readonly storage: Storage;
      readonly random: Random;
      readonly trace: (line: string) => void;
    },
  ) {
    this.#world = world;
    this.#storage = storage;
    this.#random = random;
    this.#trace = trace;
  }

  /** A process begins: its schedule goes on from that of the one before, by the machine's own clock. */
  born(config: Config): void {
    this.inForce(config);
  }

  /** It ended: nobody records what was under way. */
  died(): void {
    this.#open.clear();
    this.#resuming.clear();
    this.#rendered = undefined;
    for (const known of this.deliveries.values()) {
      known.open = undefined;
      // Who cancelled was told or not; either way memory is gone, and with it the race.
      known.isCancelKnown = true;
    }
  }

  inForce(config: Config): void {
    this.#config = config;
    const subscription = (id: string) => config.subscriptions.find((one) => one.id === id);
    this.#channels = new Notices({ random: this.#random, config, subscription });
  }

  /** Who is to get an event now. */
  wanting(event: PostedEvent): string[] {
    return this.#config!.subscriptions.filter((one) => wants(one, event)).map(({ id }) => id)
      .sort();
  }

  isPaused(id: string): boolean {
    return this.#paused.has(id);
  }

  /** An operator asks to resume: from now on it may be sent to, until that is known to have failed. */
  resumes(id: string): () => void {
    this.#resuming.set(id, (this.#resuming.get(id) ?? 0) + 1);
    return () => this.#resuming.set(id, Math.max(0, (this.#resuming.get(id) ?? 0) - 1));
  }

  isHeld(id: string): boolean {
    const subscription = this.#find(id);
    if (!subscription || !subscription.enabled) return true;
    return this.#paused.has(id) && (this.#resuming.get(id) ?? 0) === 0;
  }

  /** When a due time of the database comes, on the true time. */
  dueMs(at: Instant): number {
    return at - this.#world.startAt - this.#scaleMs!;
  }

  bySeq(seq: number): Known {
    return this.#bySeq.get(seq)!;
  }

  /** A new process's schedule goes on where that of the one before would be by now. */
  #goesOn({ boot }: TimeMark): void {
    const scaleMs = boot!.at - this.#world.startAt - (boot!.leastMs - BOOTED_BEFORE_MS);
    const aheadMs = scaleMs - (this.#scaleMs ?? scaleMs);
    if (Math.abs(aheadMs) > ROUNDING_MS) {
      this.#accuse(`the schedule's time is ${aheadMs} ms ahead of that of the process before`);
    }
    this.#scaleMs = scaleMs;
  }

  rendered(claim: Claim): void {
    this.#rendered = claim;
  }

  sent(sent: Sent): void {
    this.requests++;
    const claim = this.#rendered;
    this.#rendered = undefined;
    if (!claim) return this.#accuse("a request went out that no claim was rendered for");
    const { id } = claim.delivery;
    const known = this.deliveries.get(id);
    if (!known) return this.#accuse(`${id} was sent before it was stored`);
    this.#trace(`send ${id} ${known.event} -> ${known.subscription} (${known.cause})`);
    const subscription = this.#find(known.subscription);
    if (!subscription) return this.#accuse(`${id} was sent to a subscription that is gone`);
    this.#lookAtTime(known);
    this.#lookAtRights(known, sent, subscription);
    this.#lookAtContent(known, sent);
    known.open = { sent, subscription };
    this.#open.set(sent, known.subscription);
  }

  ended(sent: Sent): void {
    this.#open.delete(sent);
  }

  /** Something came about that the process had asked for. */
  done(done: Done): void {
    this.#apply(done);
    this.#readNew();
  }

  /** What a cancel answered has reached who asked for it. */
  cancelTold(id: string): void {
    const known = this.deliveries.get(id);
    if (!known || known.state === "pending") {
      this.#accuse(`${id} is not cancelled, against the answer`);
    } else known.isCancelKnown = true;
  }

  #apply({ name, given, answer }: Done): void {
    switch (name) {
      case "enqueue":
        this.#trace(`stored ${answer.kind}`);
        return;
      case "record":
        return this.#recorded(given[0], answer);
      case "hasten": {
        const known = this.deliveries.get(given[0]);
        if (!answer || !known) return;
        known.notBeforeMs = -Infinity;
        known.notAfterMs = Math.min(known.notAfterMs, this.#world.nowMs);
        return;
      }
      case "cancel":
        for (const id of given[0]) {
          const known = this.deliveries.get(id);
          if (known?.state === "pending") this.#finish(known, "cancelled");
        }
        return;
      case "pause":
      case "resume":
        return this.#setPaused(given[0].subscription, name === "pause");
      case "shiftDue":
        this.#trace(`due times shifted by ${given[1]}`);
        this.#scaleMs! += given[1];
        return;
      case "keepTime":
        return this.#goesOn(given[0]);
    }
  }

  #finish(known: Known, state: DeliveryState): void {
    known.state = state;
    this.pending.delete(known);
  }

  #setPaused(id: string, isPaused: boolean): void {
    if (isPaused) this.#paused.add(id);
    else this.#paused.delete(id);
  }

  #recorded(recording: Recording, isStored: boolean): void {
    const { claim, verdict, health } = recording;
    const known = this.deliveries.get(claim.delivery.id)!;
    const attempt = known.open;
    known.open = undefined;
    this.#trace(`record ${known.id} ${verdict.kind} ${isStored ? "" : "(refused)"}`);
    if (!attempt?.sent.outcome) return this.#accuse(`${known.id} was recorded without an attempt`);
    if (health) this.#setPaused(known.subscription, health.pausedAt !== undefined);
    if (!isStored) {
      if (known.state !== "cancelled") {
        this.#accuse(`a recording of ${known.id} was refused, and nobody had cancelled it`);
      }
      return;
    }
    if (known.state !== "pending") {
      return this.#accuse(`${known.id} is ${known.state}, and an attempt of it was recorded`);
    }
    known.attempts++;
    known.firstSentMs ??= attempt.sent.startedMs;
    if (recording.attempt.number !== known.attempts) {
      this.#accuse(
        `${known.id} has attempt ${recording.attempt.number} as its ${known.attempts}th`,
      );
    }
    const { endedMs, outcome } = attempt.sent;
    const expected = this.#judge(known, attempt.subscription, outcome);
    if (!expected.kinds.includes(verdict.kind)) {
      this.#accuse(`${known.id} was judged ${verdict.kind}, not ${expected.kinds.join(" or ")}`);
    }
    if (verdict.kind !== "retry") {
      this.#finish(known, verdict.kind);
      return;
    }
    // The due time as it is stored; recordings that had to wait may have followed the clock.
    const dueMs = this.dueMs(verdict.dueAt);
    known.notBeforeMs = endedMs! + expected.leastMs;
    known.notAfterMs = endedMs! + expected.mostMs + BUSY_MS;
    if (dueMs < known.notBeforeMs - ROUNDING_MS || dueMs > known.notAfterMs + ROUNDING_MS) {
      this.#accuse(
        `${known.id} is due ${dueMs - endedMs!} ms after its attempt, ` +
          `not ${expected.leastMs} to ${expected.mostMs}`,
      );
    }
  }

  /** What is to become of a delivery, worked out apart from the code that decides it. */
  #judge(
    known: Known,
    subscription: Subscription,
    outcome: Outcome,
  ): { kinds: string[]; leastMs: number; mostMs: number } {
    const only = (kind: string) => ({ kinds: [kind], leastMs: 0, mostMs: 0 });
    const status = outcome.kind === "answered" ? outcome.status : 0;
    if (subscription.success.some(([from, to]) => from <= status && status <= to)) {
      return only("delivered");
    }
    if (!subscription.waitForConfirmation) return only(status > 0 ? "delivered" : "exhausted");
    // An operator's own channel is asked again: nobody else would tell them.
    const isNotice = subscription.id.startsWith("notify:");
    if (status === 410 && !isNotice) return only("cancelled");
    const { ladder, jitter } = subscription;
    const rungMs = ladder.waitsMs[known.attempts - 1] ?? ladder.thenEveryMs;
    if (rungMs === undefined) return only("exhausted");
    const asked = askedFor(outcome);
    const leastMs = Math.max(rungMs, asked.leastMs);
    const mostMs = Math.max(Math.floor(rungMs * (1 + jitter)), asked.mostMs);
    if (ladder.forMs === undefined) return { kinds: ["retry"], leastMs, mostMs };
    // The ladder's length is measured by a clock that may have been set.
    const elapsedMs = this.#world.nowMs - known.firstSentMs!;
    const unsureMs = this.steppedMs + 5_000;
    const kinds = [
      ...(elapsedMs + rungMs <= ladder.forMs + unsureMs ? ["retry"] : []),
      ...(elapsedMs + rungMs * (1 + jitter) >= ladder.forMs - unsureMs ? ["exhausted"] : []),
    ];
    return { kinds, leastMs, mostMs };
  }

  #lookAtTime(known: Known): void {
    const earlyMs = known.notBeforeMs - this.#world.nowMs;
    if (earlyMs > ROUNDING_MS) this.#accuse(`${known.id} was sent ${earlyMs} ms early`);
  }

  #lookAtRights(known: Known, { request }: Sent, subscription: Subscription): void {
    const { id } = known;
    if (known.state !== "pending" && (known.state !== "cancelled" || known.isCancelKnown)) {
      this.#accuse(`${id} was sent although it is ${known.state}`);
    }
    if (known.open) this.#accuse(`${id} was sent while an attempt of it was under way`);
    if (known.cause !== "test" && this.isHeld(subscription.id)) {
      this.#accuse(`${id} was sent although ${subscription.id} is held`);
    }
    if (request.url !== subscription.url) {
      this.#accuse(`${id} was sent to ${request.url}, not ${subscription.url}`);
    }
    const underWay = [...this.#open.values()];
    if (underWay.length >= this.#config!.totalConcurrency) {
      this.#accuse(`${id} was sent beside ${underWay.length} others`);
    }
    const beside = underWay.filter((one) => one === subscription.id).length;
    if (beside >= subscription.concurrency) {
      this.#accuse(`${id} was sent beside ${beside} others of ${subscription.id}`);
    }
    this.#lookAtRate(subscription);
  }

  #lookAtRate({ id, rateLimit }: Subscription): void {
    const limit = JSON.stringify(rateLimit);
    let starts = this.#starts.get(id);
    if (starts?.limit !== limit) this.#starts.set(id, starts = { limit, atMs: [] });
    if (!rateLimit) return;
    const { nowMs } = this.#world;
    const before = starts.atMs.at(-rateLimit.count);
    if (before !== undefined && nowMs - before < rateLimit.perMs - ROUNDING_MS) {
      this.#accuse(`${id} got more than ${limit}: the last of them within ${nowMs - before} ms`);
    }
    starts.atMs.push(nowMs);
  }

  #lookAtContent(known: Known, { request }: Sent): void {
    const body = new TextDecoder().decode(request.body);
    const first = this.#bodies.get(known.root);
    if (first === undefined) this.#bodies.set(known.root, body);
    else if (first !== body) {
      this.#accuse(`${known.id} was sent as ${body}, and before as ${first}`);
    }
    for (const [name, value] of request.headers) {
      if (name !== "webhook-id" && name !== "Idempotency-Key") continue;
      const key = `${known.event} ${known.subscription} ${name}`;
      const before = this.#dedupeIds.get(key) ?? value;
      this.#dedupeIds.set(key, before);
      if (before !== value) this.#accuse(`${known.id} has ${name} ${value}, and before ${before}`);
    }
  }

  #readNew(): void {
    for (const row of this.#storage.newDeliveries(this.#lastSeq)) {
      this.#lastSeq = row.seq;
      this.#stored(row);
    }
  }

  #stored({ id, seq, event, subscription, cause, redeliveryOf }: StoredRow): void {
    const root = this.deliveries.get(redeliveryOf ?? "")?.root ?? id;
    this.#trace(`new ${id} ${event} for ${subscription} (${cause})`);
    const known: Known = {
      ...{ id, seq, event, subscription, cause, root },
      storedMs: this.#world.nowMs,
      state: "pending",
      isCancelKnown: false,
      attempts: 0,
      firstSentMs: undefined,
      notBeforeMs: -Infinity,
      notAfterMs: this.#world.nowMs,
      open: undefined,
    };
    this.deliveries.set(id, known);
    this.#bySeq.set(seq, known);
    this.pending.add(known);
  }

  #find(id: string): Subscription | undefined {
    return this.#config!.subscriptions.find((one) => one.id === id) ??
      this.#channels!.subscription(id);
  }

  #accuse(sentence: string): void {
    this.#trace(`BROKEN: ${sentence}`);
    this.broken.push(`at ${this.#world.nowMs} ms: ${sentence}`);
  }
}

/** Worked out apart from the code that decides it, for what the simulation's houses ask for. */
function wants({ events, scope, match }: Subscription, { type, scope: from, data }: PostedEvent) {
  const fits = events.some(({ text }) =>
    text.endsWith("*") ? type.startsWith(text.slice(0, -1)) : type === text
  );
  const venues = scope.get("venue_id");
  const isFromThere = venues?.includes(from.get("venue_id")!) ?? true;
  return fits && isFromThere && (match.length === 0 || data.includes(TOTALS[1]));
}

/** Instants are whole milliseconds; sums of lengths are binary fractions. */
const ROUNDING_MS = 1e-3;

/** For so long a process may be busy before it sees to an answer. */
const BUSY_MS = 20;

const DAY_MS = 86_400_000;

/** How long a receiver asks to be left alone; between nothing and a day where it names a date. */
function askedFor(outcome: Outcome): { leastMs: number; mostMs: number } {
  const none = { leastMs: 0, mostMs: 0 };
  if (outcome.kind !== "answered" || ![429, 503].includes(outcome.status)) return none;
  const value = outcome.headers.find(([name]) => name === "Retry-After")?.[1];
  if (value === undefined || value === "soon") return none;
  if (!/^\d+$/.test(value)) return { leastMs: 0, mostMs: DAY_MS };
  const askedMs = Math.min(Number(value) * 1_000, DAY_MS);
  return { leastMs: askedMs, mostMs: askedMs };
}
