import { assertEquals } from "@std/assert";
import { bellhook, freePort, serve } from "../support/processes.ts";
import { until } from "../support/until.ts";

/** A folder with a config, and real daemons on it, one after the other. */
export class ServedFolder {
  readonly path = Deno.makeTempDirSync({ prefix: "bellhook-" });
  readonly #port = freePort();
  #daemon: Deno.ChildProcess | undefined;

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

  async start(env: Record<string, string>): Promise<Deno.ChildProcess> {
    return this.#daemon = await serve(this.path, this.#port, env);
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
    this.#daemon?.kill("SIGKILL");
    await this.#daemon?.status;
    this.#daemon = undefined;
  }

  /** Stops the daemon in order and asks the database whether all is well. */
  async stop(): Promise<void> {
    const daemon = this.#daemon!;
    daemon.kill("SIGTERM");
    assertEquals((await daemon.status).code, 0);
    this.#daemon = undefined;
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
      return { status: 0, body: { items: [], error } };
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    await Deno.remove(this.path, { recursive: true });
  }
}
