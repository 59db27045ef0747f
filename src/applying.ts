import type { Config } from "./config/config.ts";
import type { Replacement } from "./config/diff.ts";
import type { HealthBoard } from "./dispatch/health_board.ts";
import { haveSameOperators } from "./http/access.ts";
import { SubscriptionIndex } from "./ingest/subscription_index.ts";
import type { LiveConfig } from "./live_config.ts";
import type { Clock } from "./runtime/clock.ts";
import type { Measures } from "./runtime/measures.ts";
import type { SteadyClock } from "./runtime/steady_clock.ts";
import { Turn } from "./runtime/turn.ts";
import type { Sending } from "./sending.ts";

export interface ApplyingPorts {
  readonly config: LiveConfig;
  readonly health: HealthBoard;
  readonly clock: Clock;
  readonly steady: SteadyClock;
  readonly measures: Measures;
  readonly sending: Sending;
  /** Ends the streams of those who may not listen any more; all others come back. */
  readonly endStreams: () => void;
}

/** Puts a config in the place of the one in force, in one turn of the loop. */
export async function applyConfig(
  next: Config,
  replacement: Replacement,
  ports: ApplyingPorts,
): Promise<void> {
  const { config, health, clock, steady, measures, sending } = ports;
  const { registry, notices, scheduler, find } = sending;
  const turn = new Turn(clock);
  const index = await turn.run(SubscriptionIndex.building(next.subscriptions));
  if (!haveSameOperators(config.current.auth, next.auth)) ports.endStreams();
  config.replace(next);
  const { added, replaced, removed } = replacement;
  const toggled = replaced.filter(({ before, after }) => before.enabled !== after.enabled);
  registry.swap(next.subscriptions, replacement, index);
  const channels = [...notices.all.keys()];
  notices.swap(config.current);
  health.meet(added, steady.now());
  health.switched(toggled.map(({ after }) => after), steady.now());
  measures.reloaded({ ok: true, at: clock.wall() });
  await turn.run(measures.configured(added));
  // Channels are counted by the same label, and contacts, which are their subscription's.
  const mayBeGone = removed.length > 0 || channels.some((id) => !notices.all.has(id)) ||
    replaced.some(({ before }) => before.contact !== undefined);
  if (mayBeGone) await turn.run(measures.gone((id) => find(id) !== undefined));
  await scheduler.refresh();
}
