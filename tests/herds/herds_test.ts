import { assert, assertEquals } from "@std/assert";
import { setImmediate } from "node:timers";
import { compilePattern } from "../../src/domain/pattern.ts";
import { type Engine, startEngine } from "../../src/engine.ts";
import { openReading, openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { systemRandom } from "../../src/runtime/random.ts";
import type { Transport } from "../../src/transport/transport.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { inMemory } from "../support/folder_in_memory.ts";

const HERD = 10_000, CONCURRENCY = 16, LIMIT_A_SECOND = 200;
const MINUTE_MS = 60_000;
/** The third rung of the house ladder, the first one after the receiver's ten minutes. */
const RUNG_MS = 30 * MINUTE_MS;

Deno.test("herds: 10 000 deliveries that failed for ten minutes come back spread, within their limits", async () => {
  const folder = await Deno.makeTempDir(await inMemory());
  const clock = new FakeClock();
  const town = new Town(clock);
  const house = new House(`${folder}/outbox.db`, clock, town);
  await house.start();
  const began = clock.wall();
  for (let first = 0; first < HERD; first += 1_000) await house.publish("down", 1_000);

  // Refused at once, they stay together as closely as a herd can.
  await house.live({ untilAt: began + 10 * MINUTE_MS, stepMs: 1_000 });
  assertEquals(town.arrived("down").length, 3 * HERD, "two rungs within the ten minutes");

  await house.stop();
  town.isDown = false;
  await house.start();
  const before = town.arrived("down").length;
  await house.live({ untilAt: began + 2_100_000, stepMs: MINUTE_MS });
  // The others go on meanwhile: one event every two seconds.
  for (let at = clock.wall(); town.arrived("down").length < before + HERD; at += 2_000) {
    await house.publish("up", 1);
    await house.live({ untilAt: at + 2_000, stepMs: 50 });
    assert(clock.wall() < began + 2 * RUNG_MS, "the herd is not through in an hour");
  }

  const back = town.arrived("down").slice(before);
  const spanMs = back.at(-1)! - back[0]!;
  assert(spanMs >= RUNG_MS / 10, `they came back within ${spanMs} ms`);
  const mean = HERD / (spanMs / 10_000);
  for (let from = back[0]!; from < back.at(-1)!; from += 10_000) {
    const count = back.filter((at) => at >= from && at < from + 10_000).length;
    assert(count < 2 * mean, `${count} of them in ten seconds, ${mean} on average`);
  }
  for (const [index, at] of back.slice(LIMIT_A_SECOND).entries()) {
    assert(at - back[index]! >= 1_000, "more in a second than the rate limit lets");
  }
  assert(town.mostAtOnce("down") <= CONCURRENCY, `${town.mostAtOnce("down")} at once`);

  const ups = town.arrived("up");
  assert(ups.length > 50, `${ups.length} for the others`);
  assertEquals(Math.max(...ups.map((at, index) => at - house.publishedAt("up")[index]!)), 0);
  await house.stop();
  await Deno.remove(folder, { recursive: true });
});

/** The real one, but that a commit waits for no thread: it takes one turn of the loop. */
async function openOutbox({ path }: { readonly path: string }): Promise<SqliteOutbox> {
  const store = new Store(await openWriter(path));
  const reader = new SqliteReader(openReading(path));
  return new SqliteOutbox(path, { store, reader, lock: { release() {} } });
}

/** Two receivers: one refuses until it is up again and then takes 50 ms, one takes what it gets. */
class Town {
  isDown = true;
  readonly #clock: FakeClock;
  readonly #arrivedAt = new Map<string, number[]>();
  readonly #open = new Map<string, number>();
  readonly #mostAtOnce = new Map<string, number>();

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  /** When each request arrived, in their order. */
  arrived(name: string): readonly number[] {
    return this.#arrivedAt.get(name) ?? [];
  }

  mostAtOnce(name: string): number {
    return this.#mostAtOnce.get(name) ?? 0;
  }

  transport(): Transport {
    return {
      send: async ({ pool }) => {
        this.#arrivedAt.set(pool, this.#arrivedAt.get(pool) ?? []);
        this.#arrivedAt.get(pool)!.push(this.#clock.wall());
        if (pool === "down" && this.isDown) {
          return { kind: "failed", error: { kind: "connect", message: "refused" } };
        }
        const open = (this.#open.get(pool) ?? 0) + 1;
        this.#open.set(pool, open);
        this.#mostAtOnce.set(pool, Math.max(open, this.mostAtOnce(pool)));
        await new Promise<void>((resolve) => this.#clock.after(50, resolve));
        this.#open.set(pool, this.#open.get(pool)! - 1);
        return {
          kind: "answered",
          status: 200,
          headers: [],
          body: new Uint8Array(),
          truncated: false,
        };
      },
      close: () => Promise.resolve(),
    };
  }
}

/** Bellhook with a subscription for each of the two, on one database. */
class House {
  readonly #path: string;
  readonly #clock: FakeClock;
  readonly #town: Town;
  readonly #publishedAt = new Map<string, number[]>();
  #engine: Engine | undefined;

  constructor(path: string, clock: FakeClock, town: Town) {
    this.#path = path;
    this.#clock = clock;
    this.#town = town;
  }

  publishedAt(type: string): readonly number[] {
    return this.#publishedAt.get(type) ?? [];
  }

  async start(): Promise<void> {
    const subscription = (id: string, rateLimit?: { count: number; perMs: number }) =>
      aSubscription({
        id,
        events: [compilePattern(id)],
        jitter: 0.1,
        concurrency: CONCURRENCY,
        // From the restart on: before, it would keep the herd from becoming one.
        ...(rateLimit && !this.#town.isDown ? { rateLimit } : {}),
      });
    this.#engine = await startEngine(
      aConfig({
        storage: { ...aConfig().storage, path: this.#path },
        subscriptions: [
          subscription("down", { count: LIMIT_A_SECOND, perMs: 1_000 }),
          subscription("up"),
        ],
      }),
      {
        clock: this.#clock,
        random: systemRandom(),
        log: silentLog,
        transport: this.#town.transport(),
        openOutbox,
      },
    );
  }

  async stop(): Promise<void> {
    await this.#engine!.stop();
  }

  async publish(type: string, count: number): Promise<void> {
    const at = this.#clock.wall();
    const event = { type, scope: new Map(), data: "{}" };
    this.#publishedAt.set(type, [...this.publishedAt(type), ...Array(count).fill(at)]);
    await this.#engine!.ingest.submit({ events: Array(count).fill(event), isArray: true });
    await this.#settled();
  }

  /** Lets time pass, and after each step what it brought about run to its end. */
  async live({ untilAt, stepMs }: { untilAt: number; stepMs: number }): Promise<void> {
    while (this.#clock.wall() < untilAt) {
      this.#clock.advance(Math.min(stepMs, untilAt - this.#clock.wall()));
      await this.#settled();
    }
  }

  /** Until no request goes out any more without time passing, and none is being recorded. */
  async #settled(): Promise<void> {
    for (let quiet = 0, seen = -1; quiet < 10; quiet++) {
      await new Promise((resolve) => setImmediate(resolve));
      const now = this.#town.arrived("down").length + this.#town.arrived("up").length;
      if (now !== seen) quiet = 0;
      seen = now;
    }
  }
}
