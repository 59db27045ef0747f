import type { Config } from "../../src/config/config.ts";
import { type Daemon, type DaemonPorts, startDaemon } from "../../src/daemon.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import { systemClock } from "../../src/runtime/clock.ts";
import { FakeClock } from "./fake_clock.ts";
import { until } from "./until.ts";

/** A daemon under test, with methods that call its API. */
export interface TestDaemon extends Daemon {
  /** JSON in, JSON out. */
  call(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // deno-lint-ignore no-explicit-any
  readonly body: any;
}

/** Starts a real daemon on real sockets. The test may provide a clock and a log. */
export async function aDaemon(
  config: Config,
  ports: Partial<DaemonPorts> = {},
): Promise<TestDaemon> {
  const daemon = await startDaemon(config, {
    clock: systemClock,
    random: systemRandom(),
    log: silentLog,
    ...ports,
  });
  return {
    ...daemon,
    call: (method, path, body, headers) => call(`${daemon.url}${path}`, { method, body, headers }),
    // A failed test may leave attempts that a fake clock would never end.
    [Symbol.asyncDispose]: () =>
      ports.clock instanceof FakeClock ? stopWithin(daemon, ports.clock, 500) : daemon.stop(),
  };
}

/** One HTTP request. A string body is sent unchanged, anything else as JSON. */
export async function call(
  url: string,
  { method = "GET", body, headers = {} }: {
    method?: string | undefined;
    body?: unknown;
    headers?: Record<string, string> | undefined;
  } = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    ...(body === undefined ? {} : {
      body: typeof body === "string" ? body : JSON.stringify(body),
      headers: { "content-type": "application/json", ...headers },
    }),
    ...(body === undefined ? { headers } : {}),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json");
  return {
    status: response.status,
    headers: response.headers,
    body: isJson && text !== "" ? JSON.parse(text) : text,
  };
}

/** Stops without the grace period, which only the fake clock could end. */
export function stopAtOnce(daemon: Daemon, clock: FakeClock): Promise<void> {
  return stopWithin(daemon, clock, 0);
}

/** Advances the clock repeatedly until the daemon has stopped. */
async function stopWithin(
  daemon: Daemon,
  clock: FakeClock,
  stepMs: number,
): Promise<void> {
  const stopped = daemon.stop();
  let done = false;
  stopped.then(() => done = true);
  await until(() => {
    clock.advance(stepMs);
    return done;
  }, "the daemon stops");
}
