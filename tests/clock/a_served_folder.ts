import { assertEquals } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { bellhook, freePort, kill, type Starting, startServe } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { forgetFakedTime } from "./faked_time.ts";

/** A folder with a config, and real daemons on it, one after the other. */
export class ServedFolder {
  readonly path = Deno.makeTempDirSync({ prefix: "bellhook-" });
  readonly #port = freePort();
  #daemon: Starting | undefined;
  #lastWords: string | undefined;

  /** One subscription to everything, `app`, with these settings. */
  constructor(settings: { readonly url: string } & Record<string, unknown>) {
    const subscription = {
      id: "app",
      events: ["*"],
      secret: { file: "secret" },
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
      jitter: 0,
      ...settings,
    };
    Deno.writeTextFileSync(`${this.path}/secret`, `whsec_${btoa("x".repeat(32))}\n`);
    Deno.writeTextFileSync(
      `${this.path}/config.json`,
      JSON.stringify({
        server: { listen: `127.0.0.1:${this.#port}` },
        subscriptions: [subscription],
      }),
    );
  }

  async start(env: Record<string, string>): Promise<void> {
    const { process, ready, said } = this.#daemon = startServe(this.path, this.#port, env);
    await ready;
    void process.status.then(async ({ code, signal }) => {
      const words = `the daemon ended by itself (${signal ?? code}): ${await said}`;
      if (this.#daemon?.process === process) this.#lastWords = words;
    });
  }

  signal(signal: Deno.Signal): void {
    if (this.#lastWords !== undefined) throw new Error(this.#lastWords);
    this.#daemon!.process.kill(signal);
  }

  /** Tried until it is answered: to a hurried daemon any request may come too late. */
  async publish(ids: readonly string[]): Promise<void> {
    const events = ids.map((id) => ({ id, type: "t", data: {} }));
    await until(async () => {
      const { status, body } = await this.#call("/v1/events", JSON.stringify(events));
      if (status === 422) throw new Error(JSON.stringify(body));
      return status === 202 || status === 200;
    }, "the events are taken");
  }

  // deno-lint-ignore no-explicit-any
  async deliveries(): Promise<any[]> {
    return (await this.#call("/v1/deliveries?limit=500")).body.items;
  }

  // deno-lint-ignore no-explicit-any
  async delivery(id: string): Promise<any> {
    return (await this.#call(`/v1/deliveries/${id}`)).body;
  }

  async kill(): Promise<void> {
    if (!this.#daemon) return;
    const { process } = this.#daemon;
    this.#daemon = undefined;
    await kill(process);
    await forgetFakedTime(process.pid);
  }

  /** What is left of the last daemon, which is down, is from another start of the machine. */
  forgetBoot(): void {
    using db = new DatabaseSync(`${this.path}/bellhook.db`);
    db.exec("update schedule_time set boot_id = cast('another' as blob)");
  }

  /** Stops the daemon in order and asks the database whether all is well. */
  async stop(): Promise<void> {
    const { process, said } = this.#daemon!;
    this.signal("SIGTERM");
    this.#daemon = undefined;
    const { code, signal } = await process.status;
    const words = await said;
    // Once in 60 times libfaketime crashes at the very end: it is taken down while threads still ask it.
    const isItsCrash = signal === "SIGSEGV" && /msg=stopped left=\d+\s*$/.test(words);
    if (!isItsCrash) assertEquals(signal ?? code, 0, words);
    const audit = await bellhook(this.path, "audit", "--json");
    assertEquals(audit.stderr, "");
    const { faults }: { faults: string[] } = JSON.parse(audit.stdout);
    assertEquals(faults, []);
  }

  async #call(path: string, body?: string) {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, {
        ...(body === undefined
          ? {}
          : { method: "POST", body, headers: { "content-type": "application/json" } }),
      });
      return { status: response.status, body: await response.json() };
    } catch (error) {
      if (this.#lastWords !== undefined) throw new Error(this.#lastWords);
      return { status: 0, body: { items: [], error } };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.path, { recursive: true });
  }
}
