import type { System, SystemName } from "../systems/system.ts";
import type { Workbench } from "../workbench.ts";

/** One measure. It runs against one system at a time, newly started each time. */
export interface Measure {
  readonly name: string;
  readonly systems: readonly SystemName[];
  /** Throws if a delivery was lost or wrongly signed. */
  measure(bench: Workbench, system: System, size: Size): Promise<Figures>;
}

/** The results, by the figure's name in `figures.ts`. */
export type Figures = Readonly<Record<string, number>>;

/** Durations and amounts, for the full benchmark or for a quick one of a minute. */
export interface Size {
  readonly isQuick: boolean;
  readonly rounds: number;
  readonly warmUpEvents: number;
  readonly floodSeconds: number;
  readonly backlog: number;
  readonly paceSeconds: number;
  readonly receivers: number;
  readonly crowd: number;
}

export const FULL: Size = {
  isQuick: false,
  rounds: 3,
  warmUpEvents: 3_000,
  floodSeconds: 8,
  backlog: 100_000,
  paceSeconds: 20,
  receivers: 5_000,
  crowd: 1_000,
};

/** All systems and measures take about nine minutes a round. */
export const SHORT: Size = {
  isQuick: false,
  rounds: 5,
  warmUpEvents: 4_000,
  floodSeconds: 4,
  backlog: 100_000,
  paceSeconds: 6,
  receivers: 5_000,
  crowd: 1_000,
};

export const QUICK: Size = {
  isQuick: true,
  rounds: 1,
  warmUpEvents: 1_500,
  floodSeconds: 3,
  backlog: 10_000,
  paceSeconds: 5,
  receivers: 1_000,
  crowd: 200,
};

export const EVERYONE: readonly SystemName[] = [
  "bellhook",
  "bullmq",
  "bullmq-everysec",
  "pgboss",
];

/** More events than any flood can post: the receivers' capacity. */
export const MANY_EVENTS = 2_000_000;

/** Enough for the slowest peer, but no run hangs forever. */
export const PATIENCE_SECONDS = 600;

/** A busy platform's rate, far below the limit of every system. */
export const PER_SECOND = 500;

/** The subscriptions of most measures, each for its own event type. */
export const SUBSCRIPTIONS = 10;
