import { percentile, slope } from "./load/statistics.ts";
import { descriptorsOf, usageOf } from "./processes/proc.ts";
import { say } from "./report/say.ts";
import { bellhook } from "./systems/bellhook.ts";
import { type Rig, Workbench } from "./workbench.ts";

const PER_SECOND = 500;
const SUBSCRIPTIONS = 50;
const REFUSED_SHARE = 0.01;
/** The share of the run for warming up; memory is checked after it. */
const WARM_UP_SHARE = 1 / 6;

/** The limits of a long run. */
const MOST_GROWTH_BYTES_PER_HOUR = 5e6;
const MOST_JOURNAL_BYTES = 64 * 2 ** 20;
const MOST_DRIFT = 1.2;

interface Sample {
  readonly minute: number;
  readonly residentBytes: number;
  readonly descriptors: number;
  readonly journalBytes: number;
  readonly p99Ms: number;
  /** 99th percentile of bare fsyncs on the same disk. */
  readonly diskP99Ms: number;
}

/**
 * Posts 500 events a second for an hour, with 1 % always refused and retention on, and checks that
 * nothing grows that shouldn't. True if all limits are met.
 */
export async function soak(
  { minutes, folder }: { minutes: number; folder: string | undefined },
): Promise<boolean> {
  await using bench = await Workbench.open({ folder });
  await using rig = await bench.rig(bellhook, {
    subscriptions: bench.subscriptions(SUBSCRIPTIONS),
    events: Math.ceil(1.2 * PER_SECOND * 60 * minutes) + 1_000,
    storage: { keepDelivered: "5m", keepExhausted: "5m" },
  });
  await bench.receiver.ask("behave", { refusedShare: REFUSED_SHARE });
  const samples: Sample[] = [];
  using disk = new DiskWatch(`${bench.folder}/disk`);
  for (let minute = 0; minute < minutes; minute++) {
    samples.push({ ...await aMinute(rig, minute), diskP99Ms: disk.p99Ms() });
    say(JSON.stringify(samples.at(-1)));
  }
  await rig.arrived(10);
  const { arrived, refused } = await rig.report();
  const lost = rig.due - arrived - refused;
  if (lost > 0) throw new Error(`${lost} of ${rig.due} deliveries never came`);
  const path = new URL("./results/soak.json", import.meta.url);
  Deno.mkdirSync(new URL(".", path), { recursive: true });
  Deno.writeTextFileSync(path, JSON.stringify(samples, null, 2) + "\n");
  return judge(samples);
}

async function aMinute(rig: Rig, minute: number): Promise<Omit<Sample, "diskP99Ms">> {
  const from = rig.next;
  let journalBytes = 0;
  const journal = `${rig.folder}/data/bellhook.db-wal`;
  const timer = setInterval(() => {
    journalBytes = Math.max(journalBytes, Deno.statSync(journal).size);
  }, 1_000);
  await rig.pace({ perSecond: PER_SECOND, seconds: 60 });
  clearInterval(timer);
  const { badlySigned, p99Ms } = await rig.report({ from });
  if (badlySigned > 0) {
    throw new Error(`${badlySigned} deliveries were badly signed`);
  }
  const [pid] = rig.running.pids();
  const { residentBytes } = usageOf([pid!]);
  return {
    minute,
    residentBytes,
    descriptors: descriptorsOf(pid!),
    journalBytes,
    p99Ms,
  };
}

/** Does the same to the disk as a commit, ten times a second, and measures it. */
class DiskWatch {
  readonly #file: Deno.FsFile;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #commit = new Uint8Array(20 * 1024);
  #tookMs: number[] = [];

  constructor(path: string) {
    this.#file = Deno.openSync(path, { create: true, write: true });
    this.#timer = setInterval(() => this.#sync(), 100);
  }

  /** Since the last call. */
  p99Ms(): number {
    const p99Ms = percentile(this.#tookMs, 0.99);
    this.#tookMs = [];
    return p99Ms;
  }

  #sync(): void {
    // Overwrites, so that no sync has to extend the file.
    this.#file.seekSync(0, Deno.SeekMode.Start);
    this.#file.writeSync(this.#commit);
    const startedMs = performance.now();
    this.#file.syncDataSync();
    this.#tookMs.push(performance.now() - startedMs);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#file.close();
  }
}

function judge(samples: readonly Sample[]): boolean {
  const warm = samples.slice(Math.floor(samples.length * WARM_UP_SHARE));
  const perHour = (pick: (sample: Sample) => number) =>
    60 * slope(warm.map((sample) => [sample.minute, pick(sample)] as const));
  const tenth = Math.max(1, Math.floor(warm.length / 10));
  const typical = (pick: (sample: Sample) => number) =>
    [warm.slice(0, tenth), warm.slice(-tenth)]
      .map((some) => percentile(some.map(pick), 0.5)) as [first: number, last: number];
  const [first, last] = typical(({ p99Ms }) => p99Ms);
  const [diskFirst, diskLast] = typical(({ diskP99Ms }) => diskP99Ms);
  const growth = perHour(({ residentBytes }) => residentBytes);
  const journal = Math.max(...samples.map(({ journalBytes }) => journalBytes));
  const lines: [holds: boolean, text: string][] = [
    [
      growth <= MOST_GROWTH_BYTES_PER_HOUR,
      `memory grows by ${(growth / 1e6).toFixed(1)} MB an hour`,
    ],
    [
      Math.abs(perHour(({ descriptors }) => descriptors)) <= SUBSCRIPTIONS,
      `descriptors: ${warm[0]!.descriptors} first, ${warm.at(-1)!.descriptors} last`,
    ],
    [
      journal <= MOST_JOURNAL_BYTES,
      `the journal was ${(journal / 2 ** 20).toFixed(1)} MiB at most`,
    ],
    [
      last <= MOST_DRIFT * first,
      `99th percentile: ${first.toFixed(2)} ms first, ${last.toFixed(2)} ms last ` +
      `(fsyncs beside it: ${diskFirst.toFixed(2)} and ${diskLast.toFixed(2)} ms)`,
    ],
  ];
  for (const [holds, text] of lines) {
    console.log(`${holds ? "yes" : "NO "}  ${text}`);
  }
  return lines.every(([holds]) => holds);
}
