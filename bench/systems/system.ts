/** A system that accepts and delivers events: Bellhook, or what a user would build instead. */
export interface System {
  readonly name: SystemName;
  /** Resolves when it accepts events. */
  start(setting: Setting): Promise<Running>;
}

export type SystemName = "bellhook" | "bullmq" | "bullmq-everysec" | "pgboss";

/** A subscription of the benchmark: the receiver of one event type, or of all. */
export interface Subscribed {
  readonly id: string;
  readonly url: string;
  /** `*` for all. */
  readonly type: string;
  /** Conditions on the event's data, as in Bellhook's config. */
  readonly match?: Readonly<Record<string, unknown>>;
}

export interface Setting {
  readonly subscriptions: readonly Subscribed[];
  /** The secret of all subscriptions: `whsec_…`. */
  readonly secret: string;
  /** An empty folder for the system. */
  readonly folder: string;
  /** A library to preload that makes fsync slow. */
  readonly preload?: string;
  /** More environment variables for the process that accepts events. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Only for Bellhook: overrides the config's `storage`. */
  readonly storage?: Readonly<Record<string, string>>;
  /** Bellhook's alone: each subscription in a file of its own, which the config includes. */
  readonly included?: boolean;
}

export interface Running {
  /** Where to post events. */
  readonly url: string;
  /** Its processes, without their descendants. */
  readonly pids: () => readonly number[];
  /** Until it is started again, it accepts and stores events but delivers nothing. */
  hold(): Promise<void>;
  /** Accepted deliveries whose success isn't recorded yet. */
  pending(): Promise<number>;
  /** Sends kill -9 to the process that accepts events, not to its database. */
  kill(): Promise<void>;
  /** Starts it again; resolves when it accepts events. */
  restart(): Promise<void>;
  /** The size of its storage on disk. */
  storedBytes(): number;
  stop(): Promise<void>;
}

/** The bytes of all files in a folder and its subfolders. */
export function folderBytes(folder: string): number {
  let bytes = 0;
  for (const entry of Deno.readDirSync(folder)) {
    const path = `${folder}/${entry.name}`;
    bytes += entry.isDirectory ? folderBytes(path) : Deno.statSync(path).size;
  }
  return bytes;
}
