import { join } from "node:path";
import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import { readConfig } from "../config/load.ts";
import { formatProblem } from "../config/problem.ts";
import { Secret } from "../domain/secret.ts";
import { newSecret } from "../profiles/new_secret.ts";
import { SAMPLE_SUBSCRIPTIONS, sampleEvent, SAMPLES } from "../profiles/samples/samples.ts";
import { BUILT_IN } from "../profiles/table.ts";
import { formatReceived, type Received, type Receiver } from "../receivers/receiver.ts";
import { startReceiver } from "../receivers/receiver.ts";
import { systemClock } from "../runtime/clock.ts";
import { silentLog } from "../runtime/log.ts";
import { systemRandom } from "../runtime/random.ts";
import { ApiClient } from "./api_client.ts";
import { EXIT, type ExitCode } from "./exit_code.ts";
import { ReceivedCells } from "./received_cells.ts";
import type { GlobalOptions, Shell } from "./shell.ts";

interface DevOptions {
  readonly samples: boolean;
  readonly once?: boolean;
}

/** `bellhook dev`: a throw-away daemon with a receiver for every profile. */
export function addDev(program: Command, shell: Shell): void {
  program.command("dev")
    .description("try it: a throw-away daemon, and a receiver for each profile that verifies")
    .option("--no-samples", "don't send the sample events")
    .option("--once", "end when every sample was delivered and verified, else with exit code 1")
    .addHelpText("after", EXAMPLES)
    .action(shell.does<DevOptions>(async (options) => {
      const interrupted = Promise.withResolvers<void>();
      const leave = interrupted.resolve;
      const ignore = shell.terminal.onSignal(["SIGINT", "SIGTERM", "SIGHUP"], () => leave());
      const directory = await Deno.makeTempDir({ prefix: "bellhook-dev-" });
      try {
        return await runIn(directory, { options, shell, interrupted: interrupted.promise, leave });
      } finally {
        ignore();
        await Deno.remove(directory, { recursive: true });
      }
    }));
}

/** With `--once`, everything has to have arrived within this, also on a machine that is busy. */
const ONCE_WITHIN_MS = 120_000;

interface Playing {
  readonly options: DevOptions & GlobalOptions;
  readonly shell: Shell;
  readonly interrupted: Promise<void>;
  /** Interrupts it. */
  readonly leave: () => void;
}

async function runIn(directory: string, playing: Playing): Promise<ExitCode> {
  const { options, shell, interrupted } = playing;
  const receivers = startReceivers(playing);
  try {
    // Looked for once: as soon as the daemon is there the port is taken, by itself.
    const port = options.once || !isFree(8420) ? 0 : 8420;
    const read = (taking: "samples" | "anything") =>
      devConfig(directory, { receivers, port, taking });
    const config = await read(options.samples ? "samples" : "anything");
    const { startDaemon } = await import("../daemon.ts");
    const daemon = await startDaemon(config, {
      clock: systemClock,
      random: systemRandom(),
      log: silentLog,
      reload: async () => ({ ok: true, config: await read("anything"), warnings: [] }),
    });
    try {
      tellWhatRuns(daemon.url, { receivers, shell });
      using client = new ApiClient({ url: daemon.url });
      const posted = options.samples ? await postSamples(client) : [];
      if (options.once) {
        return await allArrived({ posted, client, receivers, shell, interrupted });
      }
      if (options.samples) await openToAnything(daemon, { posted, client, interrupted });
      shell.say("Ctrl-C ends it; nothing is kept.");
      const failure = await Promise.race([interrupted, daemon.failed]);
      if (!failure) return EXIT.done;
      shell.say(`bellhook: the database has failed: ${failure.message}`);
      return EXIT.failed;
    } finally {
      await daemon.stop();
    }
  } finally {
    await Promise.all(receivers.map(({ receiver }) => receiver.stop()));
  }
}

/** A receiver, the secret it verifies by, and the requests that it found good. */
interface DevReceiver {
  readonly profile: string;
  readonly receiver: Receiver;
  readonly secret: Secret;
  /** How many requests it verified, by the event's `webhook-id`. */
  readonly verified: Set<string>;
}

function startReceivers({ shell, options, leave }: Playing): DevReceiver[] {
  const { colour, columns } = shell.terminal;
  const { of: cells } = new ReceivedCells({
    columns,
    profiles: [...BUILT_IN.keys()],
    events: options.samples ? [...SAMPLES.values()].flat().map(({ type }) => type) : [],
  });
  const look = { colour, cells };
  const random = systemRandom();
  return [...BUILT_IN].map(([name, profile]) => {
    const secret = new Secret(newSecret(profile, random).secret);
    const verified = new Set<string>();
    const onReceived = (received: Received) => {
      const { webhookId, status } = received;
      const isGood = received.verified && status !== undefined && status < 300;
      if (isGood && webhookId !== undefined) verified.add(webhookId);
      shell.print(options.json ? JSON.stringify(received) : formatReceived(received, look));
      if (!options.once && !shell.terminal.hasReader()) leave();
    };
    const receiver = startReceiver({ profile, secret, clock: systemClock, onReceived });
    return { profile: name, receiver, secret, verified };
  });
}

/** For the events of all, as far as the profile wants that said. */
function anyScope(profile: string): Record<string, "*"> {
  const [key] = BUILT_IN.get(profile)?.requiredScope ?? [];
  return key === undefined ? {} : { [key]: "*" };
}

async function devConfig(
  directory: string,
  { receivers, port, taking }: {
    receivers: readonly DevReceiver[];
    /** Where the daemon listens; 0 is anywhere. */
    port: number;
    /** Each its profile's samples alone, or whatever its profile knows. */
    taking: "samples" | "anything";
  },
): Promise<Config> {
  const secrets = new Map(receivers.map(({ profile, secret }) => [profile, secret]));
  const words = {
    server: { listen: `127.0.0.1:${port}`, shutdownGrace: "1s" },
    storage: { url: "sqlite:bellhook.db" },
    delivery: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] },
    subscriptions: receivers.map(({ profile, receiver }) => ({
      id: profile,
      url: receiver.url,
      secret: { env: profile },
      ...SAMPLE_SUBSCRIPTIONS.get(profile),
      ...(taking === "anything" ? { scope: anyScope(profile) } : {}),
    })),
  };
  const nothing = () => Promise.reject(new Error("dev reads no files"));
  const loaded = await readConfig({
    path: join(directory, "config.json"),
    text: JSON.stringify(words),
    sources: { env: (name) => secrets.get(name)?.reveal(), file: nothing, credential: nothing },
  });
  if (loaded.ok) return loaded.config;
  throw new Error(loaded.problems.map((problem) => formatProblem(problem)).join("\n"));
}

function isFree(port: number): boolean {
  try {
    Deno.listen({ hostname: "127.0.0.1", port }).close();
    return true;
  } catch {
    return false;
  }
}

function tellWhatRuns(
  url: string,
  { receivers, shell }: { receivers: readonly DevReceiver[]; shell: Shell },
): void {
  shell.say(`bellhook runs at ${url}, with a throw-away database`);
  for (const { profile, receiver } of receivers) {
    shell.say(`  ${profile.padEnd(18)}${receiver.url}`);
  }
  shell.say(`send one yourself: bellhook send booking.created --scope property_id=p1 \\`);
  shell.say(`  --data '{"booking_id": "bk_1"}' --url ${url}`);
}

/** Once the samples are through, events of the user's own go to every profile that knows them. */
async function openToAnything(
  daemon: { reload(): Promise<unknown> },
  { posted, client, interrupted }: {
    posted: readonly Posted[];
    client: ApiClient;
    interrupted: Promise<void>;
  },
): Promise<void> {
  const giveUpAtMs = systemClock.monotonicMs() + ONCE_WITHIN_MS;
  let broken = false;
  interrupted.then(() => broken = true);
  while (!broken && systemClock.monotonicMs() < giveUpAtMs) {
    const { items } = await client.get<{ items: unknown[] }>(
      "/v1/deliveries?state=pending&limit=1",
    );
    if (posted.length === 0 || items.length === 0) break;
    await new Promise<void>((resolve) => systemClock.after(50, resolve));
  }
  await daemon.reload();
}

interface Posted {
  readonly profile: string;
  readonly type: string;
  readonly event: string;
  readonly deliveries: readonly string[];
}

/** Posts the samples as any publisher would, one request for each profile. */
async function postSamples(client: ApiClient): Promise<Posted[]> {
  const posted: Posted[] = [];
  for (const [profile, samples] of SAMPLES) {
    const body = `[${samples.map((sample) => sampleEvent(profile, sample)).join(",")}]`;
    const { answer } = await client.post<
      { id: string; deliveries: { id: string }[] }[]
    >("/v1/events", body);
    for (const [index, { id, deliveries }] of answer.entries()) {
      const { type } = samples[index]!;
      posted.push({ profile, type, event: id, deliveries: deliveries.map(({ id }) => id) });
    }
  }
  return posted;
}

/** Waits until every sample is delivered by the outbox's word and verified by its receiver's. */
async function allArrived({ posted, client, receivers, shell, interrupted }: {
  posted: readonly Posted[];
  client: ApiClient;
  receivers: readonly DevReceiver[];
  shell: Shell;
  interrupted: Promise<void>;
}): Promise<ExitCode> {
  const giveUpAtMs = systemClock.monotonicMs() + ONCE_WITHIN_MS;
  let broken = false;
  interrupted.then(() => broken = true);
  for (;;) {
    const missing = await missingOf(posted, { client, receivers });
    if (missing.length === 0) {
      shell.say(`all ${posted.length} samples were delivered and verified`);
      return EXIT.done;
    }
    if (broken || systemClock.monotonicMs() > giveUpAtMs) {
      for (const line of missing) shell.say(line);
      shell.say(`${missing.length} of ${posted.length} samples are missing`);
      return EXIT.failed;
    }
    await new Promise<void>((resolve) => systemClock.after(POLL_EVERY_MS, resolve));
  }
}

const POLL_EVERY_MS = 50;

async function missingOf(
  posted: readonly Posted[],
  { client, receivers }: { client: ApiClient; receivers: readonly DevReceiver[] },
): Promise<string[]> {
  const missing: string[] = [];
  for (const { profile, type, event, deliveries } of posted) {
    const sample = `${profile} ${type} (${event})`;
    if (deliveries.length === 0) missing.push(`${sample}: no subscription got it`);
    for (const id of deliveries) {
      const { state, reason, attemptCount } = await client.get<
        { state: string; reason?: string; attemptCount: number }
      >(`/v1/deliveries/${id}`);
      const why = reason === undefined ? "" : `, ${reason}`;
      if (state !== "delivered") {
        missing.push(`${sample}: ${state} after ${attemptCount} attempts${why}`);
      }
    }
    const verified = receivers.find((receiver) => receiver.profile === profile)?.verified;
    if (!verified?.has(event)) missing.push(`${sample}: not verified by its receiver`);
  }
  return missing;
}

const EXAMPLES = `
Examples:
  $ bellhook dev
  $ bellhook dev --no-samples
  $ bellhook dev --once && echo "every profile works"
`;
