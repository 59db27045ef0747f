import type { GeneratorCommands, Posted } from "./load/generator.ts";
import type { ReceiverCommands, Report } from "./load/receiver.ts";
import { typeName } from "./load/event.ts";
import { endWithUs, runToEnd } from "./processes/child.ts";
import { Helper } from "./processes/helper.ts";
import { until } from "./processes/waiting.ts";
import type { Running, Setting, Subscribed, System } from "./systems/system.ts";

/** The tools of a measure: the load generator, the receivers, and the systems. */
export class Workbench {
  readonly generator: Helper<GeneratorCommands>;
  readonly receiver: Helper<ReceiverCommands>;
  readonly folder: string;
  readonly #ports: readonly number[];
  #slowFsync: string | undefined;
  #rigs = 0;

  private constructor(
    parts: Pick<Workbench, "generator" | "receiver" | "folder">,
    ports: number[],
  ) {
    this.generator = parts.generator;
    this.receiver = parts.receiver;
    this.folder = parts.folder;
    this.#ports = ports;
  }

  /** `folder` determines the disk that is measured. */
  static async open(
    { folder }: { folder: string | undefined },
  ): Promise<Workbench> {
    const own = await Deno.makeTempDir({
      prefix: "bellhook-bench-",
      ...(folder === undefined ? {} : { dir: folder }),
    });
    // PostgreSQL's user needs access.
    Deno.chmodSync(own, 0o755);
    endWithUs(() => Deno.removeSync(own, { recursive: true }));
    const generator = new Helper<GeneratorCommands>(script("generator.ts"));
    const receiver = new Helper<ReceiverCommands>(script("receiver.ts"));
    const ports = await receiver.ask("open", { ports: PORTS });
    return new Workbench({ generator, receiver, folder: own }, ports);
  }

  /** Subscriptions of their own receivers, each for its own type of event or all for every one. */
  subscriptions(
    count: number,
    {
      ofAll = false,
      origins = this.#ports.map((port) => `http://127.0.0.1:${port}`),
    } = {},
  ): Subscribed[] {
    return Array.from({ length: count }, (_, i) => ({
      id: `sub-${i}`,
      url: `${origins[i % origins.length]}/r/${i}`,
      type: ofAll ? "*" : typeName(i),
    }));
  }

  /** Starts a system in a folder of its own, for as long as the rig is used. */
  async rig(system: System, options: RigOptions): Promise<Rig> {
    const { events, perEvent = 1, folder: given, slowFsync = false, ...rest } = options;
    const { types = typesOf(rest.subscriptions), ...setting } = rest;
    const folder = given ?? `${this.folder}/${++this.#rigs}-${system.name}`;
    await Deno.mkdir(folder, { recursive: true });
    await this.receiver.ask("expect", { secret: SECRET, events, perEvent });
    const running = await system.start({
      ...setting,
      folder,
      secret: SECRET,
      ...(slowFsync ? { preload: await this.#slowFsyncLibrary() } : {}),
    });
    return new Rig(this, { running, folder, perEvent, types });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.generator[Symbol.asyncDispose]();
    await this.receiver[Symbol.asyncDispose]();
    await Deno.remove(this.folder, { recursive: true });
  }

  async #slowFsyncLibrary(): Promise<string> {
    if (this.#slowFsync === undefined) {
      const library = `${this.folder}/slow_fsync.so`;
      const source = new URL("./limits/slow_fsync.c", import.meta.url).pathname;
      await runToEnd("gcc", [
        "-O2",
        "-shared",
        "-fPIC",
        "-o",
        library,
        source,
        "-ldl",
      ]);
      this.#slowFsync = library;
    }
    return this.#slowFsync;
  }
}

export interface RigOptions
  extends Pick<Setting, "subscriptions" | "environment" | "storage" | "included"> {
  /** At most so many events will be posted. */
  readonly events: number;
  readonly perEvent?: number;
  /** Of how many types the events are; of as many as there are subscriptions where left out. */
  readonly types?: number;
  /** Each fsync takes 2 ms at the least. */
  readonly slowFsync?: boolean;
  /** A folder that holds a database already. */
  readonly folder?: string;
}

interface RigParts {
  readonly running: Running;
  readonly folder: string;
  readonly perEvent: number;
  readonly types: number;
}

/** One system under load, and the books of what was posted to it. */
export class Rig {
  readonly running: Running;
  readonly folder: string;
  readonly #workbench: Workbench;
  readonly #perEvent: number;
  readonly #types: number;
  #posted = 0;
  #accepted = 0;
  #unsure = 0;

  constructor(
    workbench: Workbench,
    { running, folder, perEvent, types }: RigParts,
  ) {
    this.#workbench = workbench;
    this.running = running;
    this.folder = folder;
    this.#perEvent = perEvent;
    this.#types = types;
  }

  /** Deliveries that have to come of what was accepted so far. */
  get due(): number {
    return this.#accepted * this.#perEvent;
  }

  /** The number of the next event. */
  get next(): number {
    return this.#posted;
  }

  async flood(
    order: {
      connections?: number;
      count?: number;
      seconds: number;
      batch?: number;
      isSmall?: boolean;
    },
  ): Promise<Posted> {
    const { connections = CONNECTIONS, count = Infinity, seconds, batch = 1, isSmall = false } =
      order;
    return this.#book(
      await this.#workbench.generator.ask("flood", {
        ...this.#order(seconds),
        connections,
        // JSON has no infinity.
        count: Math.min(count, Number.MAX_SAFE_INTEGER),
        batch,
        isSmall,
      }),
    );
  }

  async pace(
    { perSecond, seconds }: { perSecond: number; seconds: number },
  ): Promise<Posted> {
    const order = { ...this.#order(seconds), perSecond };
    return this.#book(await this.#workbench.generator.ask("pace", order));
  }

  /** Waits until everything accepted has arrived; answers whether it has. */
  async arrived(limitSeconds: number): Promise<boolean> {
    const came = await this.#workbench.receiver.ask("wait", {
      count: this.due,
      limitMs: limitSeconds * 1_000,
    });
    return came >= this.due;
  }

  /** Waits until everything accepted has arrived and is on record. Throws where that fails. */
  async settled(limitSeconds: number): Promise<void> {
    if (!await this.arrived(limitSeconds)) {
      const { arrived } = await this.report();
      throw new Error(
        `${arrived} of ${this.due} deliveries arrived within ${limitSeconds} s`,
      );
    }
    await until(
      "everything delivered to be on record",
      { everyMs: 10, limitMs: limitSeconds * 1_000 },
      async () => await this.running.pending() === 0,
    );
  }

  async report(range: { from?: number; to?: number } = {}): Promise<Report> {
    const { from = 0, to = this.#posted } = range;
    return await this.#workbench.receiver.ask("report", { from, to });
  }

  /** Throws where anything accepted was lost, badly signed or unreadable. */
  async check({ repeats = false, missing = 0 } = {}): Promise<void> {
    const { arrived, badlySigned, unreadable, repeated } = await this.report();
    const faults = [
      ...(badlySigned > 0 ? [`${badlySigned} were badly signed`] : []),
      ...(unreadable > 0 ? [`${unreadable} could not be read`] : []),
      ...(repeated > 0 && !repeats ? [`${repeated} came twice though nothing had failed`] : []),
      ...(arrived + missing < this.due ? [`${this.due - arrived} never came`] : []),
      ...(arrived > this.due + this.#unsure * this.#perEvent ? ["more came than were sent"] : []),
    ];
    if (faults.length > 0) {
      throw new Error(`of ${this.due} deliveries: ${faults.join("; ")}`);
    }
  }

  /** Stops the system and takes its folder away. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.running.stop();
    await Deno.remove(this.folder, { recursive: true });
  }

  #order(seconds: number) {
    const { url } = this.running;
    return {
      url,
      from: this.#posted,
      types: this.#types,
      limitMs: seconds * 1_000,
    };
  }

  #book(posted: Posted): Posted {
    this.#posted += posted.posted;
    this.#accepted += posted.accepted;
    this.#unsure += posted.unanswered.length;
    return posted;
  }
}

function typesOf(subscriptions: readonly Subscribed[]): number {
  return subscriptions[0]?.type === "*" ? 1 : subscriptions.length;
}

function script(name: string): URL {
  return new URL(`./load/${name}`, import.meta.url);
}

/** The benchmark's own, and no other's. */
export const SECRET = `whsec_${btoa("the secret of the benchmark ... ")}`;

const PORTS = 16;
/** Publishers that post at once when they post as fast as they can. */
const CONNECTIONS = 64;
