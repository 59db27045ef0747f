import { setImmediate } from "node:timers";
import type { Config } from "../../src/config/config.ts";
import type { Outcome } from "../../src/domain/attempt.ts";
import { Secret } from "../../src/domain/secret.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { type Engine, startEngine } from "../../src/engine.ts";
import type { EnginePorts } from "../../src/parts.ts";
import type { Submitted } from "../../src/ingest/ingest.ts";
import type { TimedCommit } from "../../src/outbox/outbox.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import type { OutgoingRequest } from "../../src/transport/transport.ts";
import { aConfig } from "../support/a_config.ts";
import { A_SECRET, aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { aStorage, failing, openWithin } from "../support/storages.ts";

/** One request that a receiver got and has not answered. */
export interface Unanswered {
  readonly request: OutgoingRequest;
  answer(status: number, body?: Uint8Array): void;
}

/** An engine in memory, on a clock, a network and a disk that the test has in its hands. */
export interface TestEngine extends Engine {
  readonly clock: FakeClock;
  readonly disk: { isFull: boolean; isBroken: boolean };
  /** Every request so far. */
  readonly requests: OutgoingRequest[];
  readonly unanswered: Unanswered[];
  /** One event of type `t`. */
  publish(): Promise<Submitted>;
  /** Puts another config in force, or one with a problem. */
  reloadWith(config: Config | undefined): Promise<unknown>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Starts one with a subscription `a-subscription`; receivers answer `status`, or wait for the test. */
export async function anEngine(
  { status, noticeStatus = 200, ...overrides }: Partial<Subscription> & {
    status?: number;
    noticeStatus?: number;
  } = {},
  ports: Partial<EnginePorts> = {},
): Promise<TestEngine & { config: Config }> {
  const clock = new FakeClock();
  const disk = { isFull: false, isBroken: false };
  const storage = await aStorage();
  const requests: OutgoingRequest[] = [];
  const unanswered: Unanswered[] = [];
  const config = aConfig({
    server: { ...aConfig().server, shutdownGraceMs: 0 },
    subscriptions: [aSubscription(overrides)],
    notify: [{
      kind: "webhook",
      url: "https://operators.example/",
      secret: new Secret(A_SECRET.reveal()),
      on: ["subscription.failing", "subscription.paused", "delivery.exhausted", "config.rejected"],
    }],
  });
  let file: Config | undefined = config;
  const engine = await startEngine(config, {
    clock,
    random: systemRandom(),
    log: silentLog,
    transport: {
      send(request) {
        if (request.pool.startsWith("notify:")) return Promise.resolve(answered(noticeStatus));
        requests.push(request);
        if (status !== undefined) return Promise.resolve(answered(status));
        return new Promise((resolve) => {
          unanswered.push({ request, answer: (...how) => resolve(answered(...how)) });
        });
      },
      close: () => Promise.resolve(),
    },
    openOutbox: () => openWithin(storage, () => true, (timed) => failing(disk, timed)),
    reload: () =>
      Promise.resolve(
        file ? { ok: true, config: file, warnings: [] } : {
          ok: false,
          problems: [{ file: "config.json", path: "", message: "nonsense" }],
          warnings: [],
        },
      ),
    ...ports,
  });
  return {
    ...engine,
    clock,
    disk,
    requests,
    unanswered,
    config,
    publish: () =>
      engine.ingest.submit({
        events: [{ type: "t", scope: new Map(), data: "1" }],
        isArray: false,
      }),
    reloadWith(config) {
      file = config;
      return engine.reload();
    },
    async [Symbol.asyncDispose]() {
      disk.isFull = false;
      const stopped = engine.stop();
      await settled();
      clock.advance(0);
      await stopped;
      storage.remove();
    },
  };
}

/** Lets everything run that does not wait for time to pass. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
}

function answered(status: number, body: Uint8Array = new Uint8Array()): Outcome {
  return { kind: "answered", status, headers: [], body, truncated: false };
}

/**
 * Engines on one database file, one after the other: each is started, and ends in order or by a kill.
 * Every attempt fails with 500 unless there is a rate limit.
 */
export async function anEngineOnDisk(clock: FakeClock, overrides: Partial<Subscription>) {
  const storage = await aStorage();
  const config = aConfig({
    server: { ...aConfig().server, shutdownGraceMs: 0 },
    subscriptions: [aSubscription(overrides)],
  });
  const requests: OutgoingRequest[] = [], requestsAtMs: number[] = [];
  let engine: Engine | undefined;
  let life = { isOver: false };
  const slowly = (timed: TimedCommit): TimedCommit => (commit, about) =>
    timed(async () => {
      const answer = await commit();
      if (house.commitTakesMs > 0) {
        await new Promise<void>((resolve) => clock.after(house.commitTakesMs, resolve));
      }
      return answer;
    }, about);
  const house = {
    clock,
    requests,
    /** By the true time. */
    requestsAtMs,
    /** How long the disk takes over a commit. */
    commitTakesMs: 0,
    async start() {
      const own = life = { isOver: false };
      engine = await startEngine(config, {
        clock: mortal(clock, own),
        random: systemRandom(),
        log: silentLog,
        transport: {
          send(request) {
            if (own.isOver) return new Promise(() => {});
            requests.push(request);
            requestsAtMs.push(clock.monotonicMs());
            return Promise.resolve(answered(overrides.rateLimit ? 200 : 500));
          },
          close: () => Promise.resolve(),
        },
        openOutbox: () => openWithin(storage, () => !own.isOver, slowly),
      });
      await settled();
    },
    async publish(count = 1) {
      const event = { type: "t", scope: new Map(), data: "1" };
      const events = Array.from({ length: count }, () => event);
      await engine!.ingest.submit({ events, isArray: true });
      await settled();
    },
    async pass(ms: number) {
      clock.advance(ms);
      await settled();
    },
    async passInSteps(ms: number, stepMs: number) {
      for (let passed = 0; passed < ms; passed += stepMs) {
        await house.pass(Math.min(stepMs, ms - passed));
      }
    },
    /** What has not been committed is gone, and nothing of the process goes on. */
    async kill() {
      life.isOver = true;
      storage.crash();
      await settled();
    },
    async stop() {
      const stopped = engine!.stop();
      await settled();
      clock.advance(0);
      await stopped;
      life.isOver = true;
    },
    async [Symbol.asyncDispose]() {
      if (!life.isOver) await house.stop();
      storage.remove();
    },
  };
  return house;
}

/** A process's clock, whose timers end with it. */
function mortal(clock: FakeClock, life: { isOver: boolean }): Clock {
  return {
    wall: () => clock.wall(),
    monotonicMs: () => clock.monotonicMs(),
    boot: () => clock.boot(),
    after: (ms, callback) => clock.after(ms, () => life.isOver || callback()),
  };
}
