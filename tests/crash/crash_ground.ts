import { bellhook, freePort, kill, startServe } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { Chance } from "../simulation/chance.ts";
import { type Arrival, readArrivals } from "./arrivals.ts";
import { deliveryKey, type Entry, type Ledger, readLedger } from "./ledger.ts";
import { Publisher } from "./publisher.ts";

/** The result of crashing a daemon repeatedly on one database. */
export interface Report {
  /** How often the daemon was killed, by what it was doing. */
  readonly killed: Record<Moment, number>;
  readonly receiversKilled: number;
  /** Events that were answered 202, or 200 for a repeat. */
  readonly accepted: number;
  /** Requests that a killed daemon had stored but not answered; repeats were answered 200. */
  readonly storedUnheard: number;
  readonly deliveries: number;
  readonly attempts: number;
  /** Attempts in flight at a kill: sent but not recorded. */
  readonly inFlight: number;
  /** Answers of 200 beyond a delivery's first. */
  readonly duplicates: number;
  /** Accepted events that are missing, or did not reach one of their subscriptions. */
  readonly lost: number;
  /** Databases that passed `pragma integrity_check` and the audit: one per kill and one at the end. */
  readonly sound: number;
  /** Every violation of a guarantee. */
  readonly faults: readonly string[];
}

type Moment = "serving" | "starting" | "stopping";

const MOMENTS: Readonly<Record<Moment, number>> = { serving: 16, starting: 3, stopping: 2 };

const SUBSCRIPTIONS = ["steady", "mortal", "hopeless"] as const;
const HOPELESS_ATTEMPTS = 3;
const CONCURRENCY = 16;
const PUBLISHERS = 4;

/**
 * One database from its making to its end: a real `serve` under load is killed with -9 at random
 * moments and started again, as is one of its receivers, round by round. What is left after each
 * kill is held against what the receivers got; in the end everything must have come about.
 */
export async function crashGround(
  { rounds, seed }: { readonly rounds: number; readonly seed: number },
): Promise<Report> {
  const folder = await Deno.makeTempDir();
  const ground = new Ground(folder, new Chance(seed));
  try {
    await ground.open();
    for (let round = 0; round < rounds; round++) await ground.crash();
    return await ground.end();
  } finally {
    await ground.close();
    await Deno.remove(folder, { recursive: true });
  }
}

class Ground {
  readonly #folder: string;
  readonly #chance: Chance;
  readonly #port = freePort();
  readonly #publishers: readonly Publisher[];
  readonly #steady: Receiver;
  readonly #mortal: Receiver;
  readonly #killed: Record<Moment, number> = { serving: 0, starting: 0, stopping: 0 };
  readonly #faults: string[] = [];
  readonly #ledgers: Ledger[] = [];
  #daemon: Deno.ChildProcess | undefined;
  #number = 0;

  constructor(folder: string, chance: Chance) {
    this.#folder = folder;
    this.#chance = chance;
    this.#steady = new Receiver(`${folder}/steady.log`);
    this.#mortal = new Receiver(`${folder}/mortal.log`);
    const url = `http://127.0.0.1:${this.#port}/v1/events`;
    this.#publishers = Array.from(
      { length: PUBLISHERS },
      () =>
        new Publisher(url, {
          chance: new Chance(chance.whole(1, 1e9)),
          nextNumber: () => ++this.#number,
        }),
    );
  }

  async open(): Promise<void> {
    await Deno.writeTextFile(`${this.#folder}/secret`, `whsec_${btoa("x".repeat(32))}\n`);
    await Promise.all([this.#steady.start(), this.#mortal.start()]);
  }

  /** One run of the daemon, and its end. */
  async crash(): Promise<void> {
    const moment = this.#chance.weighed(MOMENTS);
    const { process, ready } = await this.#start();
    const stop = new AbortController();
    const publishing = this.#publishers.map((publisher) => publisher.publish(stop.signal));
    const dying = this.#chance.happens(0.4) ? this.#killReceiver() : undefined;
    if (moment !== "starting") {
      await ready;
      await pause(this.#chance.whole(5, 1_500));
      if (moment === "stopping") process.kill("SIGTERM");
    }
    if (moment !== "serving") await pause(this.#chance.length(1, 600));
    await kill(process);
    stop.abort();
    await Promise.all([...publishing, dying]);
    this.#killed[moment]++;
    await this.#look();
  }

  /** Lets all deliveries finish, and returns the result. */
  async end(): Promise<Report> {
    const { process, ready } = await this.#start();
    await ready;
    await Promise.all(this.#publishers.map((publisher) => publisher.settle()));
    // Continue while fewer and fewer wait; until() fails otherwise.
    for (let left = Infinity; left > 0;) {
      left = (await until(async () => {
        const pending = await this.#pending();
        return pending < left ? { pending } : undefined;
      }, `fewer than ${left} deliveries are pending`)).pending;
    }
    process.kill("SIGTERM");
    const { code } = await process.status;
    if (code !== 0) this.#faults.push(`the last daemon ended with ${code}`);
    const audit = await bellhook(this.#folder, "audit");
    if (audit.code !== 0) this.#faults.push(`bellhook audit: ${audit.stdout}${audit.stderr}`);
    await this.#look();
    return await this.#report();
  }

  async close(): Promise<void> {
    if (this.#daemon) await kill(this.#daemon);
    await Promise.all([this.#steady.kill(), this.#mortal.kill()]);
  }

  async #start() {
    await Deno.writeTextFile(`${this.#folder}/config.json`, JSON.stringify(this.#config()));
    const starting = startServe(this.#folder, this.#port);
    this.#daemon = starting.process;
    return starting;
  }

  #config() {
    const common = {
      events: ["*"],
      secret: { file: "secret" },
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
      jitter: 0,
      concurrency: CONCURRENCY,
      headers: { "x-generation": String(this.#ledgers.length) },
    };
    const retries = { steady: 3, mortal: 60, hopeless: HOPELESS_ATTEMPTS - 1 };
    return {
      server: { listen: `127.0.0.1:${this.#port}` },
      subscriptions: SUBSCRIPTIONS.map((id) => ({
        ...common,
        id,
        url: `http://127.0.0.1:${(id === "mortal" ? this.#mortal : this.#steady).port}/${id}`,
        retry: Array.from({ length: retries[id] }, () => "200ms"),
      })),
    };
  }

  async #killReceiver(): Promise<void> {
    await pause(this.#chance.length(200, 1_500));
    await this.#mortal.kill();
    await pause(this.#chance.length(1, 300));
    await this.#mortal.start();
  }

  async #pending(): Promise<number> {
    const counts = await Promise.all(SUBSCRIPTIONS.map(async (id) => {
      const response = await fetch(`http://127.0.0.1:${this.#port}/v1/subscriptions/${id}`);
      return (await response.json()).health.pending as number;
    }));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async #look(): Promise<void> {
    const ledger = await readLedger(`${this.#folder}/bellhook.db`);
    this.#ledgers.push(ledger);
    this.#faults.push(...ledger.faults);
    for (const { accepted } of this.#publishers) {
      for (const id of accepted) {
        if (!ledger.events.has(id)) this.#faults.push(`${id} was accepted, and is not there`);
      }
    }
  }

  async #report(): Promise<Report> {
    const arrivals = [
      ...await readArrivals(this.#steady.path),
      ...await readArrivals(this.#mortal.path),
    ];
    const last = this.#ledgers.at(-1)!;
    const accepted = this.#publishers.flatMap((publisher) => [...publisher.accepted]);
    const lost = lostEvents(accepted, arrivals, last);
    const { inFlight, faults } = attemptsThatDoNotFit(arrivals, this.#ledgers);
    const attempts = [...last.deliveries.values()].reduce((sum, { attempts }) => sum + attempts, 0);
    return {
      killed: this.#killed,
      receiversKilled: this.#mortal.incarnation - 1,
      accepted: accepted.length,
      storedUnheard: this.#publishers.reduce((sum, { storedUnheard }) => sum + storedUnheard, 0),
      deliveries: last.deliveries.size,
      attempts,
      inFlight,
      duplicates: countDuplicates(arrivals),
      lost: lost.length,
      sound: this.#ledgers.filter(({ faults }) => faults.length === 0).length,
      faults: [
        ...this.#faults,
        ...this.#publishers.flatMap(({ faults }) => faults),
        ...lost,
        ...endsThatDoNotFit(last),
        ...faults,
      ],
    };
  }
}

function lostEvents(
  accepted: readonly string[],
  arrivals: readonly Arrival[],
  ledger: Ledger,
): string[] {
  const arrived = new Set(
    arrivals.map(({ subscription, event }) => deliveryKey(subscription, event)),
  );
  return accepted.filter((event) =>
    !ledger.events.has(event) ||
    SUBSCRIPTIONS.some((id) => {
      const key = deliveryKey(id, event);
      return !ledger.deliveries.has(key) || !arrived.has(key);
    })
  ).map((event) => `${event} was lost`);
}

function endsThatDoNotFit({ deliveries }: Ledger): string[] {
  return [...deliveries].flatMap(([key, { state, attempts }]) => {
    const isHopeless = key.startsWith("hopeless ");
    const right = isHopeless ? "exhausted" : "delivered";
    if (state !== right) return [`${key} ended as ${state}`];
    return isHopeless && attempts !== HOPELESS_ATTEMPTS ? [`${key} had ${attempts} attempts`] : [];
  });
}

/**
 * Within one life of the daemon each request is an attempt on record, but for one a delivery: that
 * which was in flight at the kill. So what comes twice is what was in flight, and nothing else.
 */
function attemptsThatDoNotFit(
  arrivals: readonly Arrival[],
  ledgers: readonly Ledger[],
): { inFlight: number; faults: string[] } {
  const faults: string[] = [];
  let inFlight = 0;
  for (const [generation, ledger] of ledgers.entries()) {
    const before = ledgers[generation - 1]?.deliveries;
    const wasKilled = generation < ledgers.length - 1;
    const flying = new Map<string, number>();
    for (const [key, got] of byDelivery(arrivals, generation)) {
      const entry: Entry = ledger.deliveries.get(key) ?? { state: "cancelled", attempts: 0 };
      const recorded = entry.attempts - (before?.get(key)?.attempts ?? 0);
      // A receiver that was killed before it answered gets the same attempt again.
      const heard = got.length - (new Set(got.map(({ incarnation }) => incarnation)).size - 1);
      if (heard <= recorded) continue;
      if (!wasKilled || entry.state !== "pending" || heard > recorded + 1) {
        faults.push(
          `${key} (${entry.state}) was sent ${got.length} times by daemon ${generation}, ` +
            `which recorded ${recorded} attempts`,
        );
      }
      inFlight++;
      const { subscription } = got[0]!;
      flying.set(subscription, (flying.get(subscription) ?? 0) + 1);
    }
    for (const [subscription, count] of flying) {
      if (count > CONCURRENCY) {
        faults.push(`${count} were in flight for ${subscription}, which has ${CONCURRENCY} slots`);
      }
    }
  }
  return { inFlight, faults };
}

function countDuplicates(arrivals: readonly Arrival[]): number {
  const good = arrivals.filter(({ status }) => status === 200);
  const keys = good.map(({ subscription, event }) => deliveryKey(subscription, event));
  return keys.length - new Set(keys).size;
}

function byDelivery(arrivals: readonly Arrival[], generation: number): Map<string, Arrival[]> {
  const own = arrivals.filter((arrival) => arrival.generation === generation);
  return Map.groupBy(own, ({ subscription, event }) => deliveryKey(subscription, event));
}

class Receiver {
  readonly port = freePort();
  readonly path: string;
  incarnation = 0;
  #process: Deno.ChildProcess | undefined;

  constructor(path: string) {
    this.path = path;
  }

  async start(): Promise<void> {
    const script = new URL("./receiver.ts", import.meta.url).pathname;
    this.#process = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "-q", "--no-check", "--allow-net", "--allow-write", script],
        ...[String(this.port), this.path, String(++this.incarnation)],
      ],
      stdin: "null",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = this.#process.stdout.getReader();
    await reader.read();
    await reader.cancel();
  }

  async kill(): Promise<void> {
    this.#process?.kill("SIGKILL");
    await this.#process?.status;
    this.#process = undefined;
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
