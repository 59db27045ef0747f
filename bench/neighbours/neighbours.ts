import { median } from "../load/statistics.ts";
import { pause } from "../processes/waiting.ts";
import { say } from "../report/say.ts";
import { bellhook } from "../systems/bellhook.ts";
import { type Rig, Workbench } from "../workbench.ts";
import { type LargeRequest, REQUESTS, SUBSCRIBED } from "./requests.ts";

/** How much longer a neighbour's post may take than alone. */
const BAR_MS = 50;
const PER_SECOND = 200;
const SECONDS = 2;
/** How often each request is sent: in the first, the code isn't compiled yet. */
const TIMES = 3;

/** Measures how long a small post takes during each of the largest requests. True if all are fast enough. */
export async function neighbours({ folder }: { folder: string | undefined }): Promise<boolean> {
  await using bench = await Workbench.open({ folder });
  const subscriptions = SUBSCRIBED.flatMap(({ count, ...of }, group) =>
    Array.from({ length: count }, (_, i) => ({
      ...of,
      id: `${group}-${i}`,
      url: `http://127.0.0.1:9/${group}/${i}`,
    }))
  );
  await using rig = await bench.rig(bellhook, { subscriptions, events: 100_000, types: 1 });
  await rig.running.hold();
  await beside(rig, undefined);
  const quiet = await beside(rig, undefined);
  say(line("no large request", quiet));
  let met = true;
  for (const [name, request] of Object.entries(REQUESTS)) {
    const measured = await beside(rig, request);
    met &&= measured.longestMs <= quiet.longestMs + BAR_MS;
    say(line(name, measured));
  }
  say(met ? "the bar is met" : `not met: ${BAR_MS} ms more than with no large request`);
  return met;
}

interface Measured {
  readonly medianMs: number;
  readonly longestMs: number;
  readonly answers: readonly string[];
}

async function beside(rig: Rig, request: LargeRequest | undefined): Promise<Measured> {
  const pacing = rig.pace({ perSecond: PER_SECOND, seconds: SECONDS });
  const answers: string[] = [];
  for (let time = 0; request && time < TIMES; time++) {
    await pause(SECONDS * 200);
    answers.push(await send(rig, request, time));
  }
  const { answerMs } = await pacing;
  return { medianMs: median(answerMs), longestMs: Math.max(...answerMs), answers };
}

async function send(
  rig: Rig,
  { path = "/v1/events", body, headers }: LargeRequest,
  time: number,
): Promise<string> {
  const startedMs = performance.now();
  const response = await fetch(new URL(path, rig.running.url), {
    ...(body !== undefined && {
      method: "POST",
      headers: { "content-type": "application/json", ...headers },
      body: typeof body === "string" ? body : body(time),
    }),
  });
  await response.arrayBuffer();
  return `${response.status} in ${Math.round(performance.now() - startedMs)} ms`;
}

function line(name: string, { medianMs, longestMs, answers }: Measured): string {
  const waited = `median ${medianMs.toFixed(1)}, longest ${longestMs.toFixed(1)} ms`;
  return `${name.padEnd(58)} ${waited}${answers.length > 0 ? `; ${answers.join(", ")}` : ""}`;
}
