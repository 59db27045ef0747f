import { Publisher } from "../crash/publisher.ts";
import { CachedDisk } from "../power_loss/disk_image.ts";
import { examine, serveOn, writeImage } from "../power_loss/examination.ts";
import { failingAtFirst, writeConfig } from "../power_loss/recording.ts";
import { Chance } from "../simulation/chance.ts";
import { freePort, kill, startServe } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { type DiskFile, readSteps, type Step, watching } from "./watched_disk.ts";

/** What came of a daemon whose disk failed once. */
export interface FailedOnce {
  /** Which file the call was for. */
  readonly file: DiskFile | undefined;
  /** Whether it had come up before. */
  readonly wasReady: boolean;
  /** How many events it had answered 202. */
  readonly accepted: number;
  readonly faults: readonly string[];
}

/** More than this many events are not accepted before the call that is to fail. */
const MOST_EVENTS = 1_500;

/**
 * Runs a real `serve` under load on a disk whose `at`-th call fails with EIO, until that ends it. It
 * must end with an error, and no 202 may leave for what a power failure could take from then on; then
 * it is started again on a disk that works.
 */
export async function failOnce(
  { library, call, at }: {
    readonly library: string;
    readonly call: "sync" | "write";
    readonly at: number;
  },
): Promise<FailedOnce> {
  const folder = await Deno.makeTempDir();
  const receiver = failingAtFirst();
  const port = freePort();
  try {
    await writeConfig(folder, { port, receiver: receiver.url });
    const log = `${folder}/disk.log`;
    const database = `${folder}/bellhook.db`;
    const environment = watching({ library, database, log, fault: { call, at } });
    const { process, ready, said } = startServe(folder, port, environment);
    const wasReady = await ready.then(() => true, () => false);
    const publishers = publishersOf(port, at);
    // Too slow to come up, it would wait for publishers, and they for it.
    if (!wasReady) await kill(process);
    const { code, wentOn } = wasReady
      ? await publishUntilEnded(process, publishers)
      : { ...await process.status, wentOn: false };

    const steps = await readSteps({ log, database });
    const accepted = publishers.flatMap((publisher) => [...publisher.accepted]);
    const file = steps.find((step) => step.kind === "failed")?.file;
    const faults = publishers.flatMap(({ faults }) => faults);
    if (file === undefined) faults.push(`there was no ${call} number ${at}`);
    // SQLite takes no notice of a folder, which was synced before by ourselves.
    if (wentOn) { if (file !== "folder") faults.push("it went on"); }
    else if (code === 0) faults.push(`it ended with ${code}`);
    else if (!(await said).includes("bellhook:")) faults.push(`it said only ${await said}`);
    faults.push(...await imagesThatDoNotFit(steps, at), ...await serveOn(folder, accepted));
    return { file, wasReady, accepted: accepted.length, faults };
  } finally {
    await receiver.close();
    await Deno.remove(folder, { recursive: true });
  }
}

function publishersOf(port: number, seed: number): Publisher[] {
  let number = 0;
  const url = `http://127.0.0.1:${port}/v1/events`;
  return Array.from(
    { length: 4 },
    (_, index) =>
      new Publisher(url, {
        chance: new Chance(seed * 10 + index),
        nextNumber: () => ++number,
      }),
  );
}

async function publishUntilEnded(
  process: Deno.ChildProcess,
  publishers: readonly Publisher[],
): Promise<{ code: number; wentOn: boolean }> {
  const stop = new AbortController();
  const publishing = publishers.map((publisher) => publisher.publish(stop.signal));
  const accepted = () => publishers.reduce((sum, { accepted }) => sum + accepted.size, 0);
  let ended: Deno.CommandStatus | undefined;
  void process.status.then((status) => ended = status);
  for (let seen = -1; !ended && accepted() < MOST_EVENTS;) {
    seen = await until(() => ended ? 1 : accepted() > seen && accepted() + 1, "more is accepted");
  }
  const wentOn = !ended;
  if (wentOn) await kill(process);
  stop.abort();
  await Promise.all(publishing);
  return { code: (await process.status).code, wentOn };
}

/** After a failed fsync the kernel may have let go of what it was for: as a power failure does. */
async function imagesThatDoNotFit(steps: readonly Step[], seed: number): Promise<string[]> {
  const chance = new Chance(seed);
  const disk = new CachedDisk();
  const accepted = steps.flatMap((step) => step.kind === "accepted" ? step.events : []);
  for (const step of steps) disk.apply(step);
  const faults: string[] = [];
  for (let image = 0; image < 3; image++) {
    const folder = await Deno.makeTempDir();
    const path = await writeImage(folder, disk.fail(chance));
    faults.push(...await examine(path, accepted));
    await Deno.remove(folder, { recursive: true });
  }
  return faults;
}
