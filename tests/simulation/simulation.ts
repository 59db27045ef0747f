import { monotonicFactory } from "ulid";
import type { Config } from "../../src/config/config.ts";
import type { Loaded } from "../../src/config/load.ts";
import { DIGEST_MS } from "../../src/dispatch/digests.ts";
import { channelId } from "../../src/dispatch/channels.ts";
import { type Engine, startEngine } from "../../src/engine.ts";
import type { Submission, Submitted } from "../../src/ingest/ingest.ts";
import type { PostedEvent } from "../../src/ingest/posted_event.ts";
import { OutboxUnavailable } from "../../src/outbox/errors.ts";
import type { Log } from "../../src/runtime/log.ts";
import type { Random } from "../../src/runtime/random.ts";
import { Chance } from "./chance.ts";
import { Disk } from "./disk.ts";
import {
  anyHouse,
  CHANNEL,
  healed,
  OPERATORS_URL,
  otherwise,
  TOTALS,
  TYPES,
  VENUES,
} from "./houses.ts";
import { inspect } from "./inspection.ts";
import { MOODS, Network } from "./network.ts";
import { aStorage, type Storage, turnOfTheLoop } from "../support/storages.ts";
import { Witness } from "./witness.ts";
import { World } from "./world.ts";

/** The result of a run. */
export interface Outcome {
  /** The laws that it broke, as sentences. */
  readonly broken: readonly string[];
  /** Equal for identical runs. */
  readonly digest: string;
  readonly counts: Counts;
  /** A line for each thing that happened, if requested. */
  readonly trace: readonly string[];
}

export interface Counts {
  readonly events: number;
  readonly deliveries: number;
  readonly requests: number;
  readonly commits: number;
  readonly crashes: number;
  readonly simulatedMs: number;
}

/** Runs a daemon in simulated time. The seed determines everything that happens. */
export async function simulate(
  seed: number,
  { traced = false, isInMemory = false } = {},
): Promise<Outcome> {
  const storage = await aStorage(isInMemory);
  try {
    return await new Simulation(seed, { storage, traced }).run();
  } finally {
    storage.remove();
  }
}

interface Life {
  isAlive: boolean;
  engine: Engine | undefined;
}

/** A request and its answer, which the publisher may repeat. */
interface Posted {
  readonly submission: Submission;
  receipts?: string;
}

class Simulation {
  readonly #chance: Chance;
  readonly #world: World;
  readonly #network: Network;
  readonly #storage: Storage;
  readonly #disk: Disk;
  readonly #witness: Witness;
  readonly #trace: string[] = [];
  readonly #traced: boolean;
  readonly #posted: Posted[] = [];
  /** The accepted events and their deliveries, as answered to the publisher. */
  readonly #accepted = new Map<string, { data: string; deliveries: string[] }>();
  /** The possible subscriptions of each event, by its data, which is unique. */
  readonly #mayGet = new Map<string, Set<string>>();
  /** How often each event was posted. */
  readonly #postings = new Map<string, number>();
  /** Ids of events that were posted once, and refused. */
  readonly #refused = new Set<string>();
  readonly #replays = new Set<string>();
  readonly #knownSubscriptions = new Set<string>();
  #file: Config;
  #isFileBad = false;
  #life: Life = { isAlive: false, engine: undefined };
  #number = 0;
  #crashes = 0;
  /** No more failures are simulated. */
  #isHealing = false;

  constructor(
    seed: number,
    { storage, traced }: { readonly storage: Storage; readonly traced: boolean },
  ) {
    this.#chance = new Chance(seed);
    this.#world = new World(this.#chance);
    this.#network = new Network(this.#world, this.#chance);
    this.#storage = storage;
    this.#disk = new Disk(storage);
    this.#traced = traced;
    this.#witness = new Witness({
      ...{ world: this.#world, storage, random: this.#random() },
      trace: (line) => this.#tell(line),
    });
    this.#file = anyHouse(this.#chance);
  }

  async run(): Promise<Outcome> {
    await this.#boot();
    const moments = this.#chance.whole(6, 30);
    const pace = this.#chance.pick([3_000, 30_000, 120_000]);
    for (let moment = 0; moment < moments && !this.#isOver; moment++) {
      await this.#pass(this.#chance.length(0.5, pace));
      const acts = this.#chance.happens(0.25) ? this.#chance.whole(2, 4) : 1;
      for (let act = 0; act < acts; act++) this.#act();
      await this.#settle();
      if (this.#chance.happens(0.04)) await this.#restart();
    }
    if (!this.#isOver) await this.#heal();
    if (this.#isOver) await this.#abandon();
    return {
      broken: this.#witness.broken,
      digest: this.#digest(),
      counts: {
        events: this.#accepted.size,
        deliveries: this.#witness.deliveries.size,
        requests: this.#witness.requests,
        commits: this.#witness.commits,
        crashes: this.#crashes,
        simulatedMs: Math.round(this.#world.nowMs),
      },
      trace: this.#trace,
    };
  }

  get #isOver(): boolean {
    return this.#witness.broken.length > 0;
  }

  // The process: start, stop and kill.

  async #boot(): Promise<void> {
    for (;;) {
      for (const { id } of this.#file.subscriptions) this.#knownSubscriptions.add(id);
      const life: Life = { isAlive: true, engine: undefined };
      this.#life = life;
      const isAlive = () => life.isAlive;
      this.#tell(`boot, the wall clock is ${this.#world.offsetMs} ms off`);
      this.#witness.born(this.#file);
      startEngine(this.#file, {
        clock: this.#world.clock(isAlive),
        random: this.#random(),
        log: this.#log(life),
        transport: this.#network.transport({
          isAlive,
          onSend: (sent) => this.#witness.sent(sent),
          onEnd: (sent) => this.#witness.ended(sent),
        }),
        openOutbox: () =>
          this.#disk.open({
            isAlive,
            onDeath: () => void (life.isAlive = false),
            onCommit: () => void this.#witness.commits++,
            onDone: (done) => this.#witness.done(done),
            onRender: (claim) => this.#witness.rendered(claim),
          }),
        reload: () => Promise.resolve(this.#readFile(life)),
      }).then((engine) => life.engine = engine, (error) => this.#accuse(`boot: ${error.stack}`));
      while (life.isAlive && !life.engine && !this.#isOver) await turnOfTheLoop();
      await this.#disk.settle();
      if (life.isAlive) return;
      await this.#bury();
    }
  }

  /** Kills the process. */
  #kill(): void {
    this.#life.isAlive = false;
  }

  /** Cleans up after a killed process, and lets some time pass. */
  async #bury(): Promise<void> {
    this.#crashes++;
    this.#tell("died");
    await this.#disk.settle();
    await turnOfTheLoop();
    this.#disk.crash();
    this.#witness.died();
    this.#world.nowMs += this.#chance.length(1, this.#chance.happens(0.1) ? 1e6 : 5_000);
    if (this.#chance.happens(0.05)) this.#stepClock();
  }

  /** Stops the process cleanly, and starts it again. */
  async #restart(): Promise<void> {
    const life = this.#life;
    if (!life.isAlive || !life.engine) return;
    this.#tell("stop");
    let isStopped = false;
    life.engine.stop().then(
      () => isStopped = true,
      (error) => this.#accuse(`stop: ${error.stack}`),
    );
    // It may be killed at its last commit.
    await this.#settle();
    while (!isStopped && life.isAlive && !this.#isOver) {
      if (this.#world.nextMs === Infinity) return this.#accuse("stop() never comes to an end");
      await this.#happenNext();
    }
    if (!life.isAlive) return; // it died on the way, and lives again
    life.isAlive = false;
    this.#witness.died();
    this.#world.nowMs += this.#chance.length(1, 10_000);
    await this.#boot();
  }

  /** A run ends at the first broken law. */
  async #abandon(): Promise<void> {
    this.#kill();
    await this.#disk.settle();
    await turnOfTheLoop();
    this.#disk.crash();
  }

  async #settle(): Promise<void> {
    await this.#disk.settle();
    if (this.#life.isAlive) return;
    await this.#bury();
    await this.#boot();
  }

  // Time.

  async #pass(ms: number): Promise<void> {
    const untilMs = this.#world.nowMs + ms;
    while (this.#world.nextMs <= untilMs && !this.#isOver) await this.#happenNext();
    this.#world.nowMs = Math.max(this.#world.nowMs, untilMs);
  }

  async #happenNext(): Promise<void> {
    this.#world.happenNext();
    // Some actions happen before the process has handled the previous one.
    while (this.#chance.happens(0.3) && this.#world.nextMs - this.#world.nowMs < 2) {
      this.#world.happenNext();
    }
    await this.#settle();
  }

  // What publishers and operators do, and what fails.

  #act(): void {
    const chance = this.#chance;
    switch (chance.weighed(DEEDS)) {
      case "publish":
        return this.#publish(this.#newSubmission());
      case "repeat":
        return this.#posted.length > 0
          ? this.#publish(chance.pick(this.#posted))
          : this.#publish(this.#newSubmission());
      case "contradict":
        return this.#contradict();
      case "mood":
        return this.#network.setMood(this.#anyUrl(), chance.weighed(MOODS));
      case "crash":
        this.#tell("crash");
        return this.#kill();
      case "crashSoon":
        this.#disk.commitsToLive = chance.whole(1, 8);
        return;
      case "clock":
        return this.#stepClock();
      case "diskFull":
        return this.#fillDisk();
      case "pause":
        return this.#pause(this.#anySubscription());
      case "resume":
        return this.#resume(this.#anySubscription());
      case "retry":
        return this.#operate("retry", (engine) => engine.operations.retry(this.#anyId(), "ann"));
      case "cancel":
        return this.#cancel(this.#anyId());
      case "test":
        return this.#test(this.#anySubscription());
      case "replay":
        return this.#replay();
      case "reload":
        return this.#reload();
    }
  }

  #newSubmission(): Posted {
    const chance = this.#chance;
    const count = chance.happens(0.01) ? chance.whole(140, 400) : chance.whole(1, 4);
    const events = Array.from({ length: count }, (): PostedEvent => {
      const number = ++this.#number;
      return {
        ...(chance.happens(0.7) ? { id: `ev-${number}` } : {}),
        type: chance.pick(TYPES),
        scope: new Map([["venue_id", chance.pick(VENUES)]]),
        data: `{"number":${number},"total":${chance.pick(TOTALS)}}`,
      };
    });
    const idempotencyKey = chance.happens(0.2) ? `key-${this.#number}` : undefined;
    const posted: Posted = {
      submission: {
        events,
        isArray: true,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      },
    };
    // Without an id or a key, a repeat is a new event.
    if (idempotencyKey !== undefined || events.every(({ id }) => id !== undefined)) {
      this.#posted.push(posted);
    }
    return posted;
  }

  #publish(posted: Posted): void {
    const { submission } = posted;
    const wanting = submission.events.map((event) => this.#witness.wanting(event));
    for (const [index, { data }] of submission.events.entries()) {
      this.#mayGet.set(data, new Set([...this.#mayGet.get(data) ?? [], ...wanting[index]!]));
    }
    const ids = submission.events.map(({ id }) => id);
    this.#tell(`publish ${ids.join(" ")}`);
    for (const id of ids) {
      if (id === undefined) continue;
      this.#postings.set(id, (this.#postings.get(id) ?? 0) + 1);
      this.#refused.delete(id);
    }
    this.#life.engine?.ingest.submit(submission).then(
      (submitted) => this.#published(posted, submitted, wanting),
      (error) => {
        this.#mayRefuse(error);
        for (const id of ids) if (this.#postings.get(id ?? "") === 1) this.#refused.add(id!);
      },
    );
  }

  #published(posted: Posted, submitted: Submitted, wanting: string[][]): void {
    if (submitted.kind !== "accepted") {
      return this.#accuse(`an event was answered ${submitted.kind}`);
    }
    const receipts = JSON.stringify(submitted.receipts);
    if (posted.receipts !== undefined && posted.receipts !== receipts) {
      this.#accuse(`a repeat was answered ${receipts}, and before ${posted.receipts}`);
    }
    posted.receipts = receipts;
    for (const [index, { id, deliveries }] of submitted.receipts.entries()) {
      const { data } = posted.submission.events[index]!;
      const known = this.#accepted.get(id);
      this.#accepted.set(id, { data, deliveries: deliveries.map((one) => one.id) });
      if (known || !submitted.isNew) continue;
      const got = deliveries.map(({ subscription }) => subscription).sort();
      // Unacknowledged, it may have been stored before the config was changed.
      const isFirst = deliveries.every((one) =>
        this.#witness.deliveries.get(one.id)?.storedMs === this.#world.nowMs
      );
      if (isFirst && got.join() !== wanting[index]!.join()) {
        this.#accuse(`event ${id} went to ${got.join() || "nobody"}, not to ${wanting[index]}`);
      }
    }
  }

  /** Posts different content with a known id. */
  #contradict(): void {
    const known = [...this.#accepted.keys()].filter((id) => id.startsWith("ev-"));
    if (known.length === 0) return;
    const event = { id: this.#chance.pick(known), type: "other", scope: new Map(), data: "0" };
    this.#life.engine?.ingest.submit({ events: [event], isArray: false }).then((submitted) => {
      if (submitted.kind !== "idConflict") {
        this.#accuse(`${event.id} was taken with another content`);
      }
    }, (error) => this.#mayRefuse(error));
  }

  #stepClock(): void {
    const sizeMs = this.#chance.happens(0.02)
      ? 86_400_000
      : this.#chance.pick([300, 900, 1_500, 30_000, 600_000, 2_000_000]);
    const ms = Math.round(sizeMs * (0.5 + this.#chance.next())) * this.#chance.pick([-1, 1]);
    this.#tell(`the wall clock is set by ${ms} ms`);
    this.#witness.steppedMs += Math.abs(ms);
    this.#world.step(ms);
  }

  #fillDisk(): void {
    if (this.#disk.isFull) return;
    this.#tell("the disk is full");
    this.#disk.isFull = true;
    const untilMs = this.#world.nowMs + this.#chance.length(10, 60_000);
    this.#world.appoint(untilMs, () => true, () => {
      this.#tell("the disk has room again");
      this.#disk.isFull = false;
    });
  }

  #pause(id: string): void {
    this.#operate(`pause ${id}`, (engine) => engine.operations.pause(id, "ann"));
  }

  #resume(id: string): void {
    const told = this.#witness.resumes(id);
    this.#operate(`resume ${id}`, (engine) => engine.operations.resume(id, "ann"), told);
  }

  #cancel(id: string): void {
    this.#operate(`cancel ${id}`, async (engine) => {
      const { kind } = await engine.operations.cancel(id, "ann");
      if (kind === "done") this.#witness.cancelTold(id);
    });
  }

  #test(id: string): void {
    this.#operate(`test ${id}`, async (engine) => {
      const tested = await engine.operations.test(id, { by: "ann" });
      if (tested?.kind === "stored") {
        this.#accepted.set(tested.event, { data: "", deliveries: [tested.delivery] });
      }
    });
  }

  #replay(): void {
    const now = this.#world.wall();
    const filter = {
      since: now - Math.round(this.#chance.length(1_000, 1e8)),
      until: now + 1,
      ...(this.#chance.happens(0.5) ? { subscription: this.#anySubscription() } : {}),
      ...(this.#chance.happens(0.5)
        ? { state: this.#chance.pick(["delivered", "exhausted", "cancelled"] as const) }
        : {}),
    };
    this.#operate("replay", async (engine) => {
      this.#replays.add(await engine.operations.startReplay(filter, "ann"));
    });
  }

  #reload(): void {
    if (this.#chance.happens(0.1)) this.#isFileBad = true;
    else this.#file = otherwise(this.#file, this.#chance);
    for (const { id } of this.#file.subscriptions) this.#knownSubscriptions.add(id);
    this.#operate("reload", (engine) => engine.reload({ by: "ann" }));
  }

  #readFile(life: Life): Loaded {
    if (this.#isFileBad) {
      this.#isFileBad = false;
      const problems = [{ file: "config.json", path: "", message: "nonsense" }];
      return { ok: false, problems, warnings: [] };
    }
    const file = this.#file;
    // The daemon reads and applies the subscriptions in one step.
    const config = Object.defineProperty({ ...file }, "subscriptions", {
      enumerable: true,
      get: () => {
        if (life.isAlive) this.#witness.inForce(file);
        return file.subscriptions;
      },
    });
    return { ok: true, config, warnings: [] };
  }

  #operate(
    what: string,
    act: (engine: Engine) => Promise<unknown>,
    told: () => void = () => {},
  ): void {
    const { engine } = this.#life;
    if (!engine) return told();
    this.#tell(what);
    act(engine).then(told, (error) => {
      told();
      this.#mayRefuse(error);
    });
  }

  /** Whether the daemon may refuse: if its disk is full, or while it stops. */
  #mayRefuse(error: unknown): void {
    this.#tell(`refused: ${error}`);
    if (!(error instanceof OutboxUnavailable)) this.#accuse(`a request broke: ${error}`);
  }

  // The end, without failures.

  async #heal(): Promise<void> {
    this.#isHealing = true;
    this.#tell("all goes well from now on");
    this.#disk.isFull = false;
    this.#disk.commitsToLive = Infinity;
    this.#network.heal();
    // By then it has noticed that its clock was set, and that there is room on the disk.
    await this.#pass(NOTICED_MS);
    this.#compareDueTimes();
    // First without a word to the daemon, which might make it look after what it has lost sight of.
    await this.#drain((id) => !this.#witness.isHeld(id));
    this.#file = healed(this.#file, this.#knownSubscriptions, this.#chance);
    // A reload that a crash kept from reading it may have left a bad one behind.
    this.#isFileBad = false;
    this.#operate("reload", (engine) => engine.reload({ by: "ann" }));
    await this.#settle();
    for (const id of [...this.#knownSubscriptions, channelId(CHANNEL)]) this.#resume(id);
    await this.#settle();
    await this.#drain(() => true);
    // By then the last digest of exhausted deliveries is sent.
    await this.#pass(DIGEST_MS);
    await this.#drain(() => true);
    if (this.#isOver) return;
    await this.#restart();
    const { engine } = this.#life;
    const found = inspect(this.#storage.content(), this.#witness, {
      accepted: this.#accepted,
      refused: this.#refused,
      mayGet: this.#mayGet,
      replays: this.#replays,
    });
    for (const sentence of found) this.#accuse(sentence);
    const { faults, notes } = await engine!.outbox.audit();
    for (const fault of faults) this.#accuse(`audit: ${fault}`);
    if (this.#witness.steppedMs === 0) { for (const note of notes) this.#accuse(`audit: ${note}`); }
    let isStopped = false;
    engine!.stop().then(() => isStopped = true);
    await this.#disk.settle();
    while (!isStopped) await this.#happenNext();
    this.#life.isAlive = false;
  }

  /** What is stored as due is due when its wait is over, whatever clocks were set in between. */
  #compareDueTimes(): void {
    for (const { id, dueMs, known: { notAfterMs, notBeforeMs } } of this.#pending()) {
      if (dueMs > notAfterMs + 2) {
        this.#accuse(`${id} is due ${dueMs - notAfterMs} ms later than its wait`);
      }
      // What was due when the clock was set forwards stays where it was: it is due in any case.
      const mayWait = notBeforeMs > this.#world.nowMs;
      if (mayWait && dueMs < notBeforeMs - 2) {
        this.#accuse(`${id} is due ${notBeforeMs - dueMs} ms early`);
      }
    }
  }

  /** Time passes until what is not held has ended, which it must in the time its waits take. */
  async #drain(isFree: (subscription: string) => boolean): Promise<void> {
    while (!this.#isOver && await this.#hasOpenReplays()) await this.#pass(1_000);
    const waiting = this.#pending().filter(({ known }) => isFree(known.subscription));
    // The newest ends last, as a rule: looked for from there, one that is left is soon found.
    const left = () =>
      [...this.#witness.pending].reverse().find(({ subscription }) => isFree(subscription));
    const lastMs = Math.max(this.#world.nowMs, ...waiting.map(({ dueMs }) => dueMs));
    // The slowest rate limit lets one go in 7 s.
    const untilMs = lastMs + NOTICED_MS + 7_100 * waiting.length;
    while (!this.#isOver && this.#world.nowMs < untilMs && left()) {
      const nextMs = Math.max(this.#world.nextMs, this.#world.nowMs);
      await this.#pass(Math.min(nextMs, untilMs) - this.#world.nowMs);
    }
    if (this.#isOver) return;
    const lost = left();
    if (lost) {
      this.#accuse(`${lost.id} for ${lost.subscription} stays pending, though all goes well`);
    }
  }

  async #hasOpenReplays(): Promise<boolean> {
    const open = await this.#life.engine!.outbox.openReplays();
    return open.length > 0;
  }

  #pending() {
    return this.#storage.pending().map(({ seq, dueAt }) => {
      const known = this.#witness.bySeq(seq);
      return { id: known.id, known, dueMs: this.#witness.dueMs(dueAt) };
    });
  }

  // Helpers.

  #anyUrl(): string {
    if (this.#chance.happens(0.02)) return OPERATORS_URL;
    return `https://${this.#anySubscription()}-${this.#chance.pick(["a", "b"])}.example/hook`;
  }

  #anySubscription(): string {
    return this.#chance.pick([...this.#knownSubscriptions, "s1"]);
  }

  #anyId(): string {
    const ids = [...this.#witness.deliveries.keys()];
    return ids.length === 0 ? "dlv_none" : this.#chance.pick(ids.slice(-20));
  }

  #random(): Random {
    const next = monotonicFactory(() => this.#chance.next());
    return {
      bytes: (length) => Uint8Array.from({ length }, () => this.#chance.whole(0, 255)),
      ulid: (at) => next(at),
    };
  }

  /** Some of what a daemon can say, it must not have to. */
  #log(life: Life): Log {
    const broke = (what: string) => (...facts: unknown[]) => {
      if (life.isAlive) this.#accuse(`${what}: ${facts.map(String).join(" ")}`);
    };
    const needsTrouble = (what: string) => (...facts: unknown[]) => {
      const error = facts.at(-1);
      if (!(error instanceof OutboxUnavailable)) broke(what)(...facts);
    };
    const said: Partial<Log> = {
      attemptBroke: broke("attemptBroke"),
      requestBroke: broke("requestBroke"),
      storageFailed: broke("storageFailed"),
      claimFailed: broke("claimFailed"),
      recordingDelayed: needsTrouble("recordingDelayed"),
      shiftFailed: needsTrouble("shiftFailed"),
      replayFailed: needsTrouble("replayFailed"),
      historyNotKept: needsTrouble("historyNotKept"),
      pruningFailed: needsTrouble("pruningFailed"),
    };
    return new Proxy(said as Log, {
      get: (known, name: keyof Log) => known[name] ?? (() => {}),
    });
  }

  #digest(): string {
    const { requests, commits, deliveries } = this.#witness;
    const ends = [...deliveries.values()].map(({ id, state, attempts }) =>
      `${id} ${state} ${attempts}`
    );
    return [requests, commits, this.#crashes, this.#world.nowMs, ...ends].join("\n");
  }

  #tell(line: string): void {
    if (this.#traced) this.#trace.push(`${this.#world.nowMs.toFixed(3).padStart(14)} ${line}`);
  }

  #accuse(sentence: string): void {
    this.#tell(`BROKEN: ${sentence}`);
    this.#witness.broken.push(sentence);
  }
}

/** Longer than any pause in which the daemon looks away: from its clock, its disk, a fault. */
const NOTICED_MS = 61_000;

const DEEDS = {
  publish: 40,
  repeat: 6,
  contradict: 2,
  mood: 18,
  crash: 3,
  crashSoon: 5,
  clock: 4,
  diskFull: 2,
  pause: 3,
  resume: 4,
  retry: 6,
  cancel: 4,
  test: 3,
  replay: 2,
  reload: 8,
};
