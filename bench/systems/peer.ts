import { type Child, startChild } from "../processes/child.ts";
import { answers, freePort, until } from "../processes/waiting.ts";
import { folderBytes, type Running, type Setting, type System, type SystemName } from "./system.ts";

/** The database of a peer. */
export interface Service {
  readonly pid: number;
  /** The URL for the peer's server. */
  readonly url: string;
  stop(): Promise<void>;
}

/** A peer: a server of ours that uses the library as documented, and its database. */
export function peer({ name, script, service, dataFolder }: {
  name: SystemName;
  script: URL;
  service: (folder: string, preload?: string) => Promise<Service>;
  /** The part of the database's folder that grows with its data. */
  dataFolder: string;
}): System {
  return {
    name,
    async start(setting) {
      const folder = `${setting.folder}/service`;
      Deno.mkdirSync(folder);
      const started = await service(folder, setting.preload);
      try {
        const running = new Peer(setting, {
          name,
          script,
          service: started,
          dataFolder,
        });
        await running.restart();
        return running;
      } catch (error) {
        await started.stop();
        throw error;
      }
    },
  };
}

interface Parts {
  readonly name: SystemName;
  readonly script: URL;
  readonly service: Service;
  readonly dataFolder: string;
}

class Peer implements Running {
  readonly #setting: Setting;
  readonly #parts: Parts;
  readonly #port = freePort();
  #child: Child | undefined;

  constructor(setting: Setting, parts: Parts) {
    this.#setting = setting;
    this.#parts = parts;
    const text = JSON.stringify(setting.subscriptions);
    Deno.writeTextFileSync(`${setting.folder}/subscriptions.json`, text);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}/v1/events`;
  }

  pids = () => [
    ...(this.#child ? [this.#child.process.pid] : []),
    this.#parts.service.pid,
  ];

  async hold(): Promise<void> {
    await this.#control("hold");
  }

  async pending(): Promise<number> {
    return Number(await this.#control("pending"));
  }

  async kill(): Promise<void> {
    await this.#child?.kill();
    this.#child = undefined;
  }

  async restart(): Promise<void> {
    const { folder, secret, environment } = this.#setting;
    const { script, service, name } = this.#parts;
    this.#child = startChild({
      command: Deno.execPath(),
      args: ["run", "-q", "-A", "--config", CONFIG, script.pathname],
      log: `${folder}/${name}.log`,
      env: {
        PORT: String(this.#port),
        SERVICE_URL: service.url,
        SUBSCRIPTIONS: `${folder}/subscriptions.json`,
        SECRET: secret,
        ...environment,
      },
    });
    await until(
      `${name} to be ready (see ${folder}/${name}.log)`,
      { everyMs: 5, limitMs: 60_000 },
      () => answers(`http://127.0.0.1:${this.#port}/ready`),
    );
  }

  storedBytes(): number {
    return folderBytes(
      `${this.#setting.folder}/service/${this.#parts.dataFolder}`,
    );
  }

  async stop(): Promise<void> {
    await this.#child?.end();
    this.#child = undefined;
    await this.#parts.service.stop();
  }

  async #control(what: string): Promise<string> {
    const response = await fetch(
      `http://127.0.0.1:${this.#port}/control/${what}`,
      {
        method: "POST",
      },
    );
    if (!response.ok) {
      throw new Error(
        `${this.#parts.name} answered ${response.status} to ${what}`,
      );
    }
    return await response.text();
  }
}

const CONFIG = new URL("../deno.json", import.meta.url).pathname;
