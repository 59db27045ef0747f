import { DENO_FLAGS } from "../../src/cli/program.ts";
import { type Child, startChild } from "../processes/child.ts";
import { answers, freePort, until } from "../processes/waiting.ts";
import { folderBytes, type Running, type Setting, type Subscribed, type System } from "./system.ts";

/** The daemon of this checkout, started as in its README. */
export const bellhook: System = withRuntimeArgs([]);

/** The same with more runtime flags, such as `--cpu-prof`. */
export function withRuntimeArgs(runtimeArgs: readonly string[]): System {
  return {
    name: "bellhook",
    async start(setting) {
      const running = new Bellhook(setting, runtimeArgs);
      await running.restart();
      return running;
    },
  };
}

const READY_LIMIT_MS = 60_000;

/** The folder of main.ts; set it to measure another checkout. */
const CHECKOUT = Deno.env.get("BENCH_CHECKOUT") ??
  new URL("../..", import.meta.url).pathname;

/** More runtime flags to try, such as `--v8-flags=--max-semi-space-size=16`. */
const RUNTIME_ARGS = (Deno.env.get("BENCH_DENO_ARGS") ?? "").split(" ").filter(Boolean);

class Bellhook implements Running {
  readonly #setting: Setting;
  readonly #port = freePort();
  readonly #base: string;
  readonly #runtimeArgs: readonly string[];
  #child: Child | undefined;

  constructor(setting: Setting, runtimeArgs: readonly string[]) {
    this.#setting = setting;
    this.#runtimeArgs = [...RUNTIME_ARGS, ...runtimeArgs];
    this.#base = `http://127.0.0.1:${this.#port}`;
    Deno.mkdirSync(`${setting.folder}/data`, { recursive: true });
  }

  get url(): string {
    return `${this.#base}/v1/events`;
  }

  pids = () => this.#child ? [this.#child.process.pid] : [];

  async hold(): Promise<void> {
    this.#configure({ enabled: false });
    const response = await fetch(`${this.#base}/-/reload`, { method: "POST" });
    if (!response.ok) {
      throw new Error(`bellhook answered ${response.status} to a reload: ${await response.text()}`);
    }
    await response.body?.cancel();
  }

  async pending(): Promise<number> {
    let pending = 0, cursor: string | undefined;
    do {
      const query = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const response = await fetch(
        `${this.#base}/v1/subscriptions?limit=500${query}`,
      );
      const page = await response.json() as {
        items: { counts: { pending: number } }[];
        next?: string | null;
      };
      for (const { counts } of page.items) pending += counts.pending;
      cursor = page.next ?? undefined;
    } while (cursor !== undefined);
    return pending;
  }

  async kill(): Promise<void> {
    await this.#child?.kill();
    this.#child = undefined;
  }

  async restart(): Promise<void> {
    const { folder, preload, environment, secret } = this.#setting;
    this.#configure({ enabled: true });
    this.#child = startChild({
      command: Deno.execPath(),
      args: [
        "run",
        "-q",
        ...DENO_FLAGS,
        ...this.#runtimeArgs,
        "main.ts",
        "-c",
        `${folder}/config.json`,
        "serve",
      ],
      cwd: CHECKOUT,
      log: `${folder}/bellhook.log`,
      env: {
        BENCH_SECRET: secret,
        ...(preload === undefined ? {} : { LD_PRELOAD: preload }),
        ...environment,
      },
    });
    await until(
      `bellhook to be ready (see ${folder}/bellhook.log)`,
      { everyMs: 5, limitMs: READY_LIMIT_MS },
      () => answers(`${this.#base}/-/ready`),
    );
  }

  storedBytes(): number {
    return folderBytes(`${this.#setting.folder}/data`);
  }

  async stop(): Promise<void> {
    await this.#child?.end();
    this.#child = undefined;
  }

  #configure({ enabled }: { enabled: boolean }): void {
    const { subscriptions, folder, storage, included = false } = this.#setting;
    if (included && enabled) writeCustomers(folder, subscriptions);
    const config = {
      server: { listen: `127.0.0.1:${this.#port}`, shutdownGrace: "5s" },
      storage: { url: `sqlite:${folder}/data/bellhook.db`, ...storage },
      delivery: { allowHttp: true, allowNetworks: ["127.0.0.0/8"] },
      ...(included
        ? { include: [`${CUSTOMERS}/*.json`] }
        : { subscriptions: subscriptions.map((one) => entryOf(one, { enabled })) }),
    };
    Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(config));
  }
}

/** Where each subscription has a file of its own. */
const CUSTOMERS = "customers";

/** Writes a file for each, beside the config that includes them. */
export function writeCustomers(folder: string, subscriptions: readonly Subscribed[]): void {
  Deno.mkdirSync(`${folder}/${CUSTOMERS}`, { recursive: true });
  for (const one of subscriptions) {
    const text = JSON.stringify(entryOf(one, { enabled: true }), null, 2);
    Deno.writeTextFileSync(`${folder}/${CUSTOMERS}/${one.id}.json`, text);
  }
}

function entryOf({ id, url, type, match }: Subscribed, { enabled }: { enabled: boolean }) {
  const secret = { env: "BENCH_SECRET" };
  return { id, url, events: [type], ...(match && { match }), secret, enabled };
}
