/** Something that takes events and delivers them: Bellhook, or what a user would build instead. */
export interface System {
  readonly name: SystemName;
  /** Resolves when it takes events. */
  start(setting: Setting): Promise<Running>;
}

export type SystemName = "bellhook" | "bullmq" | "bullmq-everysec" | "pgboss";

/** A subscription of the benchmark: where events of one type, or of all, are delivered. */
export interface Subscribed {
  readonly id: string;
  readonly url: string;
  /** `*` for all. */
  readonly type: string;
  /** Conditions on the event's data, as Bellhook's config has them. */
  readonly match?: Readonly<Record<string, unknown>>;
}

export interface Setting {
  readonly subscriptions: readonly Subscribed[];
  /** `whsec_…`: every subscription's. */
  readonly secret: string;
  /** An empty folder of its own. */
  readonly folder: string;
  /** A library that makes fsync slow, to be loaded before all else. */
  readonly preload?: string;
  /** More for the process that takes events, as environment variables. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Bellhook's alone: over the config's `storage`. */
  readonly storage?: Readonly<Record<string, string>>;
  /** Bellhook's alone: each subscription in a file of its own, which the config includes. */
  readonly included?: boolean;
}

export interface Running {
  /** Where events are posted. */
  readonly url: string;
  /** The processes it consists of, without those that descend from them. */
  readonly pids: () => readonly number[];
  /** Until it starts again it accepts and stores, and delivers nothing. */
  hold(): Promise<void>;
  /** Deliveries accepted whose success is not on record yet. */
  pending(): Promise<number>;
  /** kill -9 of the process that takes events; what it stores into lives on. */
  kill(): Promise<void>;
  /** Starts it again; resolves when it takes events. */
  restart(): Promise<void>;
  /** What its storage takes up on disk. */
  storedBytes(): number;
  stop(): Promise<void>;
}

/** The bytes of all files in a folder and below. */
export function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    bytes += entry.isDirectory ? folderBytes(path) : Deno.statSync(path).size;
  }
  return bytes;
}
