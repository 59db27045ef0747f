import type { Parts } from "./parts.ts";
import { finished } from "./runtime/turn.ts";

/** Starts all that works by itself; answers what ends the watch over the loop. */
export async function start(parts: Parts): Promise<() => void> {
  const { config, outbox, health, steady, measures, retention, journalWatch, replayer } = parts;
  const { digests, scheduler } = parts.sending;
  finished(measures.configured(config.current.subscriptions));
  health.meet(config.current.subscriptions, steady.now());
  await digests.start();
  await scheduler.start();
  retention.start();
  journalWatch.start();
  replayer.wake();
  // What is under way can't be recorded any more: there is nothing to wait for.
  void outbox.failed.then(() => scheduler.skipGrace());
  return parts.watchLoop?.(measures.loopDelayed) ?? (() => {});
}

/**
 * No new events, then the grace for attempts under way, then the door, and the database last of all.
 */
export async function stop(
  parts: Parts,
  { stopWatching, closeDoor = () => Promise.resolve() }: {
    stopWatching: () => void;
    closeDoor: (() => Promise<void>) | undefined;
  },
): Promise<void> {
  const { config, log, admission, retention, journalWatch, replayer, streams } = parts;
  const { digests, scheduler, dispatcher, transport } = parts.sending;
  config.closedBecause = "the daemon is stopping";
  log.stopping();
  for (const part of [admission, digests, retention, journalWatch, replayer]) part.stop();
  stopWatching();
  streams.end();
  await scheduler.stop({ graceMs: config.current.server.shutdownGraceMs });
  const left = scheduler.inFlight;
  dispatcher.stop();
  await transport.close();
  await closeDoor();
  parts.feed.close();
  await parts.timeMarks.beat();
  await parts.outbox.close();
  log.stopped({ left });
}
