import { assertEquals } from "@std/assert";
import { bellhook, freePort, kill, startServe } from "../support/processes.ts";
import { until } from "../support/until.ts";
import { failingAtFirst, type Receiver, writeConfig } from "../power_loss/recording.ts";

/** What a publisher, or `/-/ready`, was answered. */
export interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly detail: string;
}

/** A real daemon in a folder, with a publisher and a receiver. */
export class House implements AsyncDisposable {
  /** The events that were answered 202. */
  readonly accepted: string[] = [];
  readonly receiver: Receiver = failingAtFirst();
  readonly #folder: string;
  readonly #port = freePort();
  #process: Deno.ChildProcess | undefined;
  #number = 0;

  constructor(folder: string) {
    this.#folder = folder;
  }

  get database(): string {
    return `${this.#folder}/bellhook.db`;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  get pid(): number {
    return this.#process!.pid;
  }

  /** Starts the daemon; rejects, with what it said, where it does not come up. */
  async start(environment: Record<string, string> = {}): Promise<void> {
    await writeConfig(this.#folder, { port: this.#port, receiver: this.receiver.url });
    await this.startAgain(environment);
  }

  /** The same, with the config that is there. */
  async startAgain(environment: Record<string, string> = {}): Promise<void> {
    const { process, ready, said } = startServe(this.#folder, this.#port, environment);
    this.#process = process;
    this.said = said;
    await ready;
  }

  /** The last of the daemon's log, once it has ended. */
  said: Promise<string> = Promise.resolve("");

  /** Posts one event of some 20 KB, if nothing else is asked for. */
  async post(bytes = 20_000): Promise<Answer> {
    const id = `ev-${++this.#number}`;
    const data = { number: this.#number, filler: "x".repeat(bytes) };
    const response = await fetch(`http://127.0.0.1:${this.#port}/v1/events`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ id, type: "booking.created", data }),
    });
    if (response.status === 202) this.accepted.push(id);
    return await answerOf(response);
  }

  async ready(): Promise<Answer> {
    return await answerOf(await fetch(`http://127.0.0.1:${this.#port}/-/ready`));
  }

  /** The daemon's exit code, once it has ended by itself. */
  async ended(): Promise<number> {
    return (await this.#process!.status).code;
  }

  /** Ends the daemon by SIGTERM; answers its exit code. */
  async stop(): Promise<number> {
    this.#process!.kill("SIGTERM");
    return await this.ended();
  }

  /** Ends the daemon by kill -9. */
  async kill(): Promise<void> {
    await kill(this.#process!);
  }

  /** Nothing is pending any more. */
  async settled(): Promise<void> {
    const url = `http://127.0.0.1:${this.#port}/v1/deliveries?state=pending&limit=1`;
    await until(
      async () => (await (await fetch(url)).json()).items.length === 0,
      "all is delivered",
    );
  }

  /** All that was accepted has arrived and is on record as delivered, and the audit finds nothing. */
  async assertWhole(): Promise<void> {
    await this.settled();
    const { arrived } = this.receiver;
    assertEquals(this.accepted.filter((id) => !arrived.has(id)), []);
    assertEquals(await this.stop(), 0);
    const audit = await bellhook(this.#folder, "audit");
    assertEquals([audit.code, audit.stderr], [0, ""], audit.stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process) await kill(this.#process);
    await this.receiver.close();
  }
}

async function answerOf(response: Response): Promise<Answer> {
  const retryAfter = response.headers.get("retry-after");
  const { detail = "" } = await response.json();
  return { status: response.status, retryAfter, detail };
}
