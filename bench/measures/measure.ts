import type { System, SystemName } from "../systems/system.ts";
import type { Workbench } from "../workbench.ts";

/** One thing that is measured, of one system at a time, freshly started each time. */
export interface Measure {
  readonly name: string;
  readonly systems: readonly SystemName[];
  /** Throws where a delivery was lost or badly signed. */
  measure(bench: Workbench, system: System, size: Size): Promise<Figures>;
}

/** What came out, by the name of the figure in `figures.ts`. */
export type Figures = Readonly<Record<string, number>>;

/** How long and how much: the full benchmark's, or a minute's. */
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

/** All systems and measures in some nine minutes a round. */
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

/** More events than any flood can post: what receivers make room for. */
export const MANY_EVENTS = 2_000_000;

/** The slowest peer gets the time it needs, and no run hangs for good. */
export const PATIENCE_SECONDS = 600;

/** A busy platform's pace, far from what any of the systems can do. */
export const PER_SECOND = 500;

/** Subscriptions of the common measures: each for its own type of event. */
export const SUBSCRIPTIONS = 10;
