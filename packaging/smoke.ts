import { join } from "node:path";
import { assertIsBellhook } from "./binary.ts";

/**
 * Tests a build as users run it, without Deno and a checkout: start, an event, its delivery, SIGTERM,
 * and all of it again on the same database. Throws if anything fails.
 */
export async function smokeTest(program: string, version: string): Promise<void> {
  await assertIsBellhook(program, version);
  const folder = await Deno.makeTempDir({ prefix: "bellhook-smoke-" });
  const receiver = startReceiver();
  try {
    await Deno.writeTextFile(join(folder, "secret"), `whsec_${btoa("smoke".repeat(8))}\n`);
    await Deno.writeTextFile(join(folder, "config.json"), configFor(receiver.url));
    for (const round of [1, 2]) await oneLife({ program, folder, receiver, round });
    const audit = await new Deno.Command(program, { args: ["audit", "--json"], ...around(folder) })
      .output();
    const report = JSON.parse(text(audit.stdout) || "{}");
    if (!audit.success || report.deliveries?.delivered !== 2) {
      throw new Error(
        `the audit of two deliveries said ${text(audit.stdout)}${text(audit.stderr)}`,
      );
    }
  } finally {
    await receiver.close();
    await Deno.remove(folder, { recursive: true });
  }
}

/** Even on a slow machine, a step that takes longer hangs. */
const LIFE_MS = 60_000;

/** Starts the daemon, delivers one event, and stops it. */
async function oneLife({ program, folder, receiver, round }: {
  readonly program: string;
  readonly folder: string;
  readonly receiver: Receiver;
  readonly round: number;
}): Promise<void> {
  const args = ["serve", "--log", "json"];
  const daemon = new Deno.Command(program, { args, ...around(folder) }).spawn();
  void daemon.stdout.cancel();
  const log = new LogOf(daemon);
  const late = setTimeout(() => daemon.kill("SIGKILL"), LIFE_MS);
  try {
    const url = await log.servingAt();
    // The pages and their assets must be part of the build.
    for (const path of ["/", "/openapi.json", "/metrics"]) {
      const { status, body } = await fetch(`${url}${path}`);
      await body?.cancel();
      if (status !== 200) throw new Error(`GET ${path} was answered ${status}`);
    }
    const event = JSON.stringify({ type: "smoke.test", data: { round } });
    const headers = { "content-type": "application/json" };
    const answer = await fetch(`${url}/v1/events`, { method: "POST", headers, body: event });
    await answer.body?.cancel();
    if (answer.status !== 202) throw new Error(`an event was answered ${answer.status}, not 202`);
    const body = await Promise.race([receiver.next(), log.ended()]);
    if (JSON.parse(body).data?.round !== round) throw new Error(`what arrived was ${body}`);
    // Windows has no SIGTERM: there the process is killed, as by the task manager.
    daemon.kill("SIGTERM");
    const { code } = await daemon.status;
    if (code !== 0 && Deno.build.os !== "windows") {
      throw new Error(`SIGTERM ended it with ${code}: ${log.text}`);
    }
  } catch (error) {
    if (!log.hasEnded) daemon.kill("SIGKILL");
    throw error;
  } finally {
    clearTimeout(late);
  }
}

/** An environment without Deno or the checkout. Downloads fail: they go to a proxy that doesn't exist. */
function around(folder: string) {
  return {
    cwd: folder,
    clearEnv: true,
    env: {
      HOME: folder,
      PATH: "/usr/bin:/bin",
      HTTPS_PROXY: "http://127.0.0.1:9",
      ...(Deno.build.os === "windows" && { SystemRoot: Deno.env.get("SystemRoot") ?? "" }),
    },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  } as const;
}

function configFor(receiver: string): string {
  return JSON.stringify({
    server: { listen: "127.0.0.1:0" },
    subscriptions: [{
      id: "smoke",
      url: receiver,
      events: ["*"],
      secret: { file: "secret" },
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
    }],
  });
}

interface Receiver {
  readonly url: string;
  /** The body of the next request that has a signature. */
  next(): Promise<string>;
  close(): Promise<void>;
}

function startReceiver(): Receiver {
  const bodies = new TransformStream<string, string>({}, undefined, { highWaterMark: 10 });
  const writer = bodies.writable.getWriter();
  const reader = bodies.readable.getReader();
  const options = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const server = Deno.serve(options, async (request) => {
    const body = await request.text();
    if (!request.headers.has("webhook-signature")) return new Response(null, { status: 400 });
    void writer.write(body);
    return new Response();
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}/`,
    next: async () => (await reader.read()).value ?? "",
    close: () => server.shutdown(),
  };
}

/** A daemon's stderr, read until it ends. */
class LogOf {
  text = "";
  hasEnded = false;
  readonly #url = Promise.withResolvers<string>();
  readonly #end: Promise<never>;

  constructor(daemon: Deno.ChildProcess) {
    this.#end = this.#read(daemon);
    this.#end.catch(this.#url.reject);
    this.#url.promise.catch(() => {});
  }

  /** The daemon's URL, once it accepts events. */
  servingAt(): Promise<string> {
    return this.#url.promise;
  }

  /** Rejects when it has ended. */
  ended(): Promise<never> {
    return this.#end;
  }

  async #read(daemon: Deno.ChildProcess): Promise<never> {
    for await (const part of daemon.stderr.pipeThrough(new TextDecoderStream())) {
      this.text += part;
      const [, url] = /"url":"([^"]+)"/.exec(this.text) ?? [];
      if (url !== undefined) this.#url.resolve(url);
    }
    const { code } = await daemon.status;
    this.hasEnded = true;
    throw new Error(`it ended with ${code}: ${this.text}`);
  }
}

function text(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
