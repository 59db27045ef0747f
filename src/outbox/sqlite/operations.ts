import type { Delivery } from "../../domain/delivery.ts";
import type { Instant } from "../../domain/instant.ts";
import type { TimeMark } from "../../runtime/boot_time.ts";
import type {
  Enqueue,
  Enqueued,
  ExhaustedDigest,
  HistoryEntry,
  NewEvent,
  PacedStart,
  Pausing,
  Pruned,
  PruneRequest,
  Recording,
  Replay,
  ReplayEntry,
  ReplayStep,
  Resuming,
} from "../outbox.ts";
import type { Changes } from "./changes.ts";
import type { Grant } from "./claims.ts";
import type { Cancellation } from "./operator_actions.ts";
import type { ReplayOpening, ReplayStepRequest } from "./replaying.ts";
import type { StoreParts } from "./store_parts.ts";

/** How an operation is carried out within a transaction, and about how many rows it writes. */
interface Kind<Request, Answer> {
  run(parts: StoreParts, request: Request, changes: Changes): Answer;
  readonly rows?: (request: Request) => number;
  /** Where a damaged row stands in its way it is refused, and nothing else is. */
  readonly isDispensable?: true;
}

/** Every change to the database. A new one is a line here, and a method of SqliteOutbox that submits it. */
export const OPERATIONS = {
  enqueue: kind<Enqueue, Enqueued>({
    run: ({ enqueueing }, request, changes) => enqueueing.enqueue(request, changes),
    rows: ({ events }) => events.reduce((rows, { deliveries }) => rows + 1 + deliveries.length, 0),
  }),
  record: kind<Recording, boolean>({
    run: ({ recording }, request, changes) => recording.record(request, changes),
    rows: () => 2,
  }),
  hasten: kind<{ readonly deliveryId: string; readonly now: Instant }, boolean>({
    run: ({ actions }, { deliveryId, now }, changes) => actions.hasten(deliveryId, now, changes),
    isDispensable: true,
  }),
  redeliver: kind<
    { readonly deliveryId: string; readonly now: Instant },
    Delivery | undefined
  >({
    run: ({ actions }, { deliveryId, now }, changes) => actions.redeliver(deliveryId, now, changes),
    isDispensable: true,
  }),
  cancel: kind<Cancellation, number>({
    run: ({ actions }, request, changes) => actions.cancel(request, changes),
    rows: ({ deliveryIds }) => deliveryIds.length,
    isDispensable: true,
  }),
  pause: kind<Pausing, boolean>({
    run({ names, health, history, insertion }, pausing, changes) {
      const { subscription, at, reason, entry, notices } = pausing;
      const number = names.subscriptions.intern(subscription);
      const before = health.of(number, changes);
      if (before.pausedAt !== undefined) return false;
      const paused = { pausedAt: at, pausedReason: reason, changedAt: at };
      changes.health.set(number, { ...before, ...paused });
      history.remember(entry);
      for (const notice of notices) insertion.event(notice, at, changes);
      return true;
    },
  }),
  resume: kind<Resuming, boolean>({
    run({ names, health, history }, { subscription, at, entry }, changes) {
      const number = names.subscriptions.intern(subscription);
      const { pausedAt, pausedReason: _, ...rest } = health.of(number, changes);
      if (pausedAt === undefined) return false;
      changes.health.set(number, { ...rest, changedAt: at });
      history.remember(entry);
      return true;
    },
  }),
  noteSwitched: kind<{ readonly subscriptions: readonly string[]; readonly at: Instant }, void>({
    run({ names, health }, { subscriptions, at }, changes) {
      for (const subscription of subscriptions) {
        const number = names.subscriptions.intern(subscription);
        changes.health.set(number, { ...health.of(number, changes), changedAt: at });
      }
    },
    rows: ({ subscriptions }) => subscriptions.length,
  }),
  remember: kind<
    { readonly entries: readonly HistoryEntry[]; readonly notices: readonly NewEvent[] },
    void
  >({
    run({ history, insertion }, { entries, notices }, changes) {
      for (const entry of entries) history.remember(entry);
      for (const notice of notices) insertion.event(notice, notice.event.occurredAt, changes);
    },
    rows: ({ entries, notices }) => entries.length + notices.length,
  }),
  /** Answers the subscriptions that have a delivery of the notice. */
  tellExhausted: kind<
    {
      readonly at: Instant;
      readonly compose: (digest: ExhaustedDigest) => NewEvent | undefined;
    },
    readonly string[]
  >({
    run({ exhausted, insertion }, { at, compose }, changes) {
      const digest = exhausted.take();
      const notice = digest && compose(digest);
      if (notice === undefined) return [];
      insertion.event(notice, at, changes);
      return notice.deliveries.map(({ subscription }) => subscription);
    },
  }),
  /** Answers the replay's number. */
  beginReplay: kind<void, number>({
    run(parts) {
      // It looks through the lists for what has finished so far.
      rollUpAll(parts);
      return parts.replaying.begin();
    },
  }),
  openReplay: kind<ReplayOpening, Replay>({
    run({ replaying, history }, opening) {
      const replay = replaying.open(opening);
      const { entry } = opening.beginning;
      if (entry) history.remember(entry(replay));
      return replay;
    },
  }),
  stepReplay: kind<ReplayStepRequest, ReplayStep>({
    run: ({ replaying }, request, changes) => replaying.step(request, changes),
    rows: ({ limit }) => limit,
    isDispensable: true,
  }),
  stopReplay: kind<
    { readonly id: string; readonly at: Instant; readonly entry: ReplayEntry | undefined },
    boolean
  >({
    run({ replaying, history }, { id, at, entry }) {
      const stopped = replaying.stop(id, at);
      if (stopped && entry) history.remember(entry(stopped));
      return stopped !== undefined;
    },
  }),
  shiftDue: kind<
    { readonly from: Instant; readonly byMs: number; readonly mark: TimeMark | undefined },
    void
  >({
    run(parts, { from, byMs, mark }) {
      rollUpAll(parts);
      parts.actions.shiftDue({ from, byMs });
      parts.timekeeping.shift(byMs);
      if (mark) parts.timekeeping.keepMark(mark);
    },
  }),
  keepTime: kind<TimeMark, void>({ run: ({ timekeeping }, mark) => timekeeping.keepMark(mark) }),
  noteStart: kind<PacedStart, void>({
    run: ({ timekeeping }, start) => timekeeping.noteStart(start),
  }),
  prune: kind<PruneRequest, Pruned>({
    run: prune,
    rows: ({ limit }) => limit,
    isDispensable: true,
  }),
  endDamaged: kind<{ readonly damaged: readonly Grant[]; readonly now: Instant }, void>({
    run: ({ actions }, request, changes) => actions.endDamaged(request, changes),
  }),
  rollUp: kind<void, void>({ run: rollUpAll }),
  probe: kind<void, void>({ run: ({ probe }) => void probe.run() }),
} as const;

export type OperationKind = keyof typeof OPERATIONS;

type RequestOf<Name extends OperationKind> = Parameters<typeof OPERATIONS[Name]["run"]>[1];
export type AnswerOf<Name extends OperationKind> = ReturnType<typeof OPERATIONS[Name]["run"]>;
export type Answer = AnswerOf<OperationKind>;

/** A change that needs a transaction, as data. */
export type Operation = {
  [Name in OperationKind]: { readonly kind: Name; readonly request: RequestOf<Name> };
}[OperationKind];

/** About how many rows an operation writes. */
export function rowsOf({ kind, request }: Operation): number {
  return (OPERATIONS[kind] as Kind<unknown, Answer>).rows?.(request) ?? 1;
}

export function isDispensable({ kind }: Operation): boolean {
  return (OPERATIONS[kind] as Kind<never, Answer>).isDispensable === true;
}

/** Carries an operation out within a transaction. */
export function run(parts: StoreParts, { kind, request }: Operation, changes: Changes): Answer {
  return (OPERATIONS[kind] as Kind<unknown, Answer>).run(parts, request, changes);
}

function kind<Request, Answer>(stated: Kind<Request, Answer>): Kind<Request, Answer> {
  return stated;
}

/** From here to the end of the transaction the side tables lack nothing but what follows. */
function rollUpAll({ rollingUp, numbers }: StoreParts): void {
  rollingUp.rollUp(numbers.last);
}

/** What is not rolled up is mostly too young to go: it is looked at where nothing else is old enough. */
function prune(parts: StoreParts, request: PruneRequest, changes: Changes): Pruned {
  const { numbers, publisherPending, pruning, rollingUp } = parts;
  publisherPending.attribute(changes);
  const pruned = pruning.batch(request, rollingUp.reached, changes);
  const isOutOfTime = request.hold !== undefined && pruned.heldMs >= request.hold.maxMs;
  if (isOutOfTime) return pruned;
  if (pruned.deliveries + pruned.events > 0) {
    return { ...pruned, mayHaveMore: pruned.mayHaveMore || rollingUp.isBehind(numbers.last) };
  }
  rollUpAll(parts);
  const more = pruning.batch(request, rollingUp.reached, changes);
  return {
    ...more,
    others: pruned.others + more.others,
    mayHaveMore: pruned.mayHaveMore || more.mayHaveMore,
    heldMs: pruned.heldMs + more.heldMs,
  };
}
