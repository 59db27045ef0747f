import type { HealthBoard } from "./dispatch/health_board.ts";
import { Replayer } from "./dispatch/replayer.ts";
import { Steering } from "./dispatch/steering.ts";
import { credit } from "./domain/actor.ts";
import { commandAbout } from "./domain/curl.ts";
import { isChannelId } from "./domain/notice.ts";
import type { Operations } from "./http/operations.ts";
import type { Ingest } from "./ingest/ingest.ts";
import type { HistoryEntry, Outbox } from "./outbox/outbox.ts";
import type { OutboxReader } from "./outbox/reader.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Log } from "./runtime/log.ts";
import type { SteadyClock } from "./runtime/steady_clock.ts";
import type { Sending } from "./sending.ts";

export interface OperatingPorts {
  readonly outbox: Outbox & OutboxReader;
  readonly health: HealthBoard;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly log: Log;
  readonly ingest: Ingest;
  readonly sending: Sending;
  /** Keeps who did what on record; never rejects. */
  readonly remember: (entry: HistoryEntry) => Promise<void>;
}

/** What operators can do, and the replayer that carries out what takes longer. */
export function operatingWith(
  ports: OperatingPorts,
): { readonly operations: Operations; readonly replayer: Replayer } {
  const { outbox, health, clock, steady, log, sending, remember } = ports;
  const { scheduler } = sending;
  const replayer = new Replayer({
    outbox,
    reader: outbox,
    clock,
    steady,
    log,
    isHeld: sending.isHeld,
    onDue: (id) => scheduler.noteDue(id, steady.now()),
    onCancelled: (ids) => scheduler.forget(ids),
  });
  const steering = new Steering({
    outbox,
    reader: outbox,
    scheduler,
    health,
    steady,
    remember,
    subscription: sending.find,
    onReplay: () => replayer.wake(),
    tellingPaused: (id, { at, cause, by }, store) =>
      sending.telling({
        at,
        kind: "subscription.paused",
        summary: `${id} was ${cause}`,
        subscription: id,
        since: at,
        by,
        command: commandAbout("resume", id),
      }, store),
  });
  const operations: Operations = {
    retry: (id, by) => steering.retry(id, by),
    cancel: (id, by) => steering.cancel(id, by),
    pause: (id, by) => steering.pause(id, by),
    resume: (id, by) => steering.resume(id, by),
    test: testingWith(ports),
    startReplay: (filter, by) => steering.startReplay(filter, by),
    stopReplay: (id, by) => steering.stopReplay(id, by),
  };
  return { operations, replayer };
}

function testingWith(
  { ingest, sending, steady, remember }: OperatingPorts,
): Operations["test"] {
  return async (id, { by, ...request }) => {
    const subscription = sending.find(id);
    if (!subscription) return undefined;
    const tested = await ingest.test(subscription, isChannelId(id) ? TEST_NOTICE : request);
    if (tested.kind === "refused") return tested;
    const { delivery } = tested;
    const about = { at: steady.now(), subscription: id, delivery, ...credit(by) };
    await remember({ ...about, kind: "tested", cause: "a test event was sent" });
    return tested;
  };
}

/** What a test of a channel, or of a contact, says. */
const TEST_NOTICE = {
  type: "bellhook.test",
  data: JSON.stringify({ kind: "bellhook.test", summary: "this is a test: notices arrive here" }),
};
