import { Digests } from "./dispatch/digests.ts";
import { Dispatcher } from "./dispatch/dispatcher.ts";
import type { HealthBoard } from "./dispatch/health_board.ts";
import type { Notice } from "./dispatch/notice.ts";
import { digestNotice, Notices } from "./dispatch/notices.ts";
import { Scheduler } from "./dispatch/scheduler.ts";
import type { TimeMarks } from "./dispatch/time_marks.ts";
import type { Subscription } from "./domain/subscription.ts";
import { Registry } from "./ingest/registry.ts";
import type { LiveConfig } from "./live_config.ts";
import type { NewEvent, Outbox } from "./outbox/outbox.ts";
import type { OutboxReader } from "./outbox/reader.ts";
import type { Clock } from "./runtime/clock.ts";
import type { DescriptorShares } from "./runtime/descriptors.ts";
import type { Environment } from "./runtime/environment.ts";
import type { Log } from "./runtime/log.ts";
import type { Measures } from "./runtime/measures.ts";
import type { Random } from "./runtime/random.ts";
import type { SteadyClock } from "./runtime/steady_clock.ts";
import type { Tracing } from "./runtime/tracing.ts";
import { type Http1Connections, http1Transport } from "./transport/http1_transport.ts";
import { noticeTransport } from "./transport/notice_transport.ts";
import type { Transport } from "./transport/transport.ts";

export interface SendingPorts {
  readonly config: LiveConfig;
  readonly outbox: Outbox & OutboxReader;
  readonly health: HealthBoard;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly timeMarks: TimeMarks;
  readonly random: Random;
  readonly log: Log;
  readonly measures: Measures;
  readonly tracing: Tracing | undefined;
  readonly environment: Environment;
  readonly descriptors: DescriptorShares;
  /** HTTP/1.1 on connections of its own, unless another is given. */
  readonly transport: Transport | undefined;
  readonly onBeat: (() => void) | undefined;
}

/** All that takes deliveries from the outbox to their receivers. */
export interface Sending {
  readonly registry: Registry;
  readonly notices: Notices;
  readonly http: Transport | Http1Connections;
  readonly transport: Transport;
  readonly dispatcher: Dispatcher;
  readonly digests: Digests;
  readonly scheduler: Scheduler;
  /** A subscription of the config, or one that stands for a channel of notices. */
  find(id: string): Subscription | undefined;
  /** Whether a subscription holds its deliveries. */
  isHeld(id: string): boolean;
  /** Has a notice stored with what it tells of, and its channels know that something is due. */
  readonly telling: Telling;
}

/** Has something stored together with the notices of it. */
export type Telling = <Answer>(
  notice: Notice,
  store: (notices: readonly NewEvent[]) => Promise<Answer>,
) => Promise<Answer>;

/** Puts together what sends; nothing is sent before the scheduler starts. */
export function sendingWith(ports: SendingPorts): Sending {
  const { config, outbox, health, clock, steady, random, log, measures, tracing } = ports;
  const registry = new Registry(config.current.subscriptions);
  const subscription = (id: string) => registry.find(id);
  const notices = new Notices({ random, config: config.current, subscription });
  const find = (id: string) => registry.find(id) ?? notices.subscription(id);
  const { http, transport } = transportsWith(ports, notices);
  const onNotice = (channel: string) => scheduler.noteDue(channel, steady.now());
  const onExhausted = () => digests.noteExhausted();
  const dispatcher: Dispatcher = new Dispatcher({
    outbox,
    transport,
    clock,
    steady,
    health,
    notices,
    log,
    measures,
    tracing,
    nextDueAt: (id) => scheduler.nextDueAt(id),
    tenancyKey: () => config.current.tenancy?.key,
    onNotice,
    onExhausted,
  });
  const digests = new Digests({
    outbox,
    clock,
    steady,
    log,
    compose: (digest, at) => notices.compose(digestNotice(digest, at))[0],
    onNotice,
  });
  const scheduler: Scheduler = schedulerWith(ports, { dispatcher, find, onExhausted });
  return {
    registry,
    notices,
    http,
    transport,
    dispatcher,
    digests,
    scheduler,
    find,
    isHeld: (id) => !find(id)?.enabled || health.isPaused(id),
    async telling(notice, store) {
      const events = notices.compose(notice);
      const answer = await store(events);
      for (const { deliveries } of events) {
        for (const { subscription: channel } of deliveries) onNotice(channel);
      }
      return answer;
    },
  };
}

function transportsWith(
  { config, clock, environment, descriptors, transport }: SendingPorts,
  notices: Notices,
) {
  const http = transport ?? http1Transport({
    clock,
    maxOpen: descriptors.outgoing,
    // Contacts and channels of notices are receivers as well.
    pools: () => 2 * config.current.subscriptions.length + 1_000,
  });
  const channel = (id: string) => notices.channel(id);
  return { http, transport: noticeTransport({ http, clock, environment, channel }) };
}

function schedulerWith(
  { config, outbox, health, clock, steady, timeMarks, log, measures, descriptors, onBeat }:
    SendingPorts,
  { dispatcher, find, onExhausted }: Pick<Sending, "dispatcher" | "find"> & {
    readonly onExhausted: () => void;
  },
): Scheduler {
  return new Scheduler({
    outbox,
    clock,
    steady,
    timeMarks,
    log,
    subscription: find,
    isPaused: (id) => health.isPaused(id),
    attempt: (claim, subscription) => dispatcher.attempt(claim, subscription),
    // An attempt takes a connection: what has none to take waits in its queue, as for a slot.
    totalConcurrency: () => Math.min(config.current.totalConcurrency, descriptors.outgoing),
    onExhausted,
    onHeldBack: measures.heldBack,
    onBeat,
  });
}
