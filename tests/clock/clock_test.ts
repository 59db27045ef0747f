import { assert, assertEquals } from "@std/assert";
import { type RawRequest, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { ServedFolder } from "./a_served_folder.ts";
import { fasterBy, hasFakedTime, SettableClock, WHERE_LEFT_OUT } from "./faked_time.ts";

const HOUR_S = 3_600, DAY_S = 86_400;

/**
 * At a thousand the ladder's 26.6 hours take 96 seconds, too long for each run of the suite; much
 * faster, and a busy machine's pauses are hours.
 */
const SPEED = Number(Deno.env.get("BELLHOOK_CLOCK_SPEED") ?? 0);

Deno.test({
  name: "clock: steps of an hour and of a day, either way, make no retry early and none stuck" +
    WHERE_LEFT_OUT,
  ignore: !hasFakedTime,
  async fn() {
    const waitsMs = [300, 1_000];
    const seen = new Seen();
    await using receiver = startRawServer((request) => {
      const count = seen.note(request);
      return { status: count <= waitsMs.length ? 500 : 200 };
    });
    await using house = new ServedFolder({
      url: receiver.url,
      retry: waitsMs.map((ms) => `${ms}ms`),
    });
    const clock = new SettableClock(house.path);
    await house.start(clock.env);
    const steps = [
      ["hour-on", HOUR_S],
      ["hour-back", 0],
      ["day-on", DAY_S],
      ["day-back", 0],
    ] as const;
    for (const [step, aheadS] of steps) {
      await house.publish([`long-${step}`]);
      await until(() => seen.count(`long-${step}`) === 2, `the second attempt before ${step}`);
      await house.publish([`short-${step}`]);
      await until(() => seen.count(`short-${step}`) === 1, `the first attempt before ${step}`);
      clock.setAhead(aheadS);
      for (const id of [`long-${step}`, `short-${step}`]) {
        await until(() => seen.count(id) === 3, `all attempts of "${id}"`);
        const early = seen.waitsMs(id).filter((waitMs, index) => waitMs < waitsMs[index]!);
        assertEquals(early, [], id);
      }
    }
    await house.stop();
    assertEquals(receiver.requests.length, 2 * 3 * steps.length);
  },
});

Deno.test({
  name: "clock: what a day of downtime made overdue is attempted once each, at the limit's pace" +
    WHERE_LEFT_OUT,
  ignore: !hasFakedTime,
  async fn() {
    const limit = 20, ids = Array.from({ length: 50 }, (_, index) => `ev-${index}`);
    await using receiver = startRawServer({ status: 500 });
    await using house = new ServedFolder({
      url: receiver.url,
      retry: ["1h", "1h"],
      rateLimit: `${limit}/s`,
    });
    const clock = new SettableClock(house.path);
    await house.start(clock.env);
    await house.publish(ids);
    await attempted(house, { ids, times: 1 });
    await house.kill();

    // The machine was off, so that its wall clock alone knows for how long.
    house.forgetBoot();
    clock.setAhead(DAY_S);
    await house.start(clock.env);
    const deliveries = await attempted(house, { ids, times: 2 });
    const startsMs: number[] = [];
    for (const { id, nextAttemptAt } of deliveries) {
      const [, second] = (await house.delivery(id)).attempts;
      startsMs.push(Date.parse(second.startedAt));
      assert(Date.parse(nextAttemptAt) >= Date.parse(second.startedAt) + HOUR_S * 1_000, id);
    }
    startsMs.sort((a, b) => a - b);
    // What is on record is when the request was ready; the pace counts from when its turn came.
    const slackMs = 250;
    for (const [index, startMs] of startsMs.slice(limit).entries()) {
      assert(startMs - startsMs[index]! >= 1_000 - slackMs, "more than the limit within a second");
    }
    await house.stop();
    assertEquals(receiver.requests.length, 2 * ids.length);
  },
});

Deno.test({
  name: "clock: set by hours while the daemon is down, it makes no retry early and none stuck" +
    WHERE_LEFT_OUT,
  ignore: !hasFakedTime,
  async fn() {
    const waitMs = 3_000;
    const seen = new Seen();
    await using receiver = startRawServer((request) => ({
      status: seen.note(request) % 2 === 1 ? 500 : 200,
    }));
    await using house = new ServedFolder({ url: receiver.url, retry: [`${waitMs}ms`] });
    const clock = new SettableClock(house.path);
    await house.start(clock.env);
    for (const [id, aheadS] of [["on", HOUR_S], ["back", -DAY_S]] as const) {
      await house.publish([id]);
      await attempted(house, { ids: [id], times: 1 });
      await house.kill();
      clock.setAhead(aheadS);
      await house.start(clock.env);
      await until(() => seen.count(id) === 2, `the second attempt of "${id}"`);
      const [waitedMs] = seen.waitsMs(id);
      assert(waitedMs! >= waitMs, `${waitedMs} ms`);
    }
    await house.stop();
  },
});

Deno.test("rate limit: a daemon that is killed again and again keeps to it, as its receiver sees it", async () => {
  const limit = 4, arrivedAtMs: number[] = [];
  await using receiver = startRawServer(() => {
    arrivedAtMs.push(performance.now());
    return { status: 200 };
  });
  await using house = new ServedFolder({ url: receiver.url, rateLimit: `${limit}/s` });
  await house.start({});
  await house.publish(Array.from({ length: 14 }, (_, index) => `ev-${index}`));
  for (const count of [2, 6, 10]) {
    await until(() => arrivedAtMs.length >= count, `${count} requests`);
    await house.kill();
    await house.start({});
  }
  await until(() => arrivedAtMs.length >= 14, "all are sent");
  for (const [index, atMs] of arrivedAtMs.slice(limit).entries()) {
    // On a busy machine they may be on their way for some time; one that forgot what it had sent would
    // send as many again as soon as it is up. tests/dispatch/restarts_test.ts has the exact time.
    const withinMs = atMs - arrivedAtMs[index]!;
    assert(withinMs >= 700, `${limit + 1} requests within ${withinMs} ms`);
  }
  await house.stop();
});

Deno.test({
  name: `clock: the 26-hour ladder at ${SPEED || 1_000} times the speed, every rung in full` +
    (SPEED > 0 ? WHERE_LEFT_OUT : " (left out: it takes BELLHOOK_CLOCK_SPEED=1000, and 96 s)"),
  ignore: !hasFakedTime || SPEED === 0,
  async fn() {
    const rungsS = [60, 300, 1_800, 7_200, 86_400];
    const seen = new Seen();
    await using receiver = startRawServer((request) => {
      seen.note(request);
      return { status: 500 };
    });
    // So long that a few milliseconds of true time are no time-out.
    await using house = new ServedFolder({ url: receiver.url, timeout: "12h" });
    await house.start(fasterBy(SPEED));
    await house.publish(["the-one"]);
    const [first] = await until(async () => {
      const all = await house.deliveries();
      return all.length === 1 && all;
    });
    const tooLate = Promise.withResolvers<void>();
    const timer = setTimeout(tooLate.resolve, 2 * 95_760_000 / SPEED + 10_000);
    await Promise.race([receiver.received(1 + rungsS.length), tooLate.promise]);
    clearTimeout(timer);
    const delivery = await until(async () => {
      const now = await house.delivery(first.id);
      return now.attempts?.length === receiver.requests.length && now;
    }, "what was sent is on record");
    assertEquals(delivery.state, "exhausted");
    // By the true time, as the receiver saw it, and by what is on record.
    const startedS = delivery.attempts.map((one: { startedAt: string }) =>
      Date.parse(one.startedAt) / 1_000
    );
    for (const [index, rungS] of rungsS.entries()) {
      const waitMs = seen.waitsMs("the-one")[index]!;
      assert(waitMs * SPEED >= rungS * 1_000, `${waitMs} ms for the rung of ${rungS} s`);
      assert(startedS[index + 1]! - startedS[index]! >= rungS, `the rung of ${rungS} s on record`);
    }
    await house.stop();
    assertEquals(receiver.requests.length, 1 + rungsS.length);
  },
});

/** When the receiver saw the attempts of each event, before it answered them. */
class Seen {
  readonly #atMs = new Map<string, number[]>();

  note(request: RawRequest): number {
    return this.#of(request.header("webhook-id")!).push(performance.now());
  }

  count(id: string): number {
    return this.#of(id).length;
  }

  /** From one attempt to the next; a wait begins later than that, with the answer. */
  waitsMs(id: string): number[] {
    const atMs = this.#of(id);
    return atMs.slice(1).map((at, index) => at - atMs[index]!);
  }

  #of(id: string): number[] {
    const known = this.#atMs.get(id) ?? [];
    this.#atMs.set(id, known);
    return known;
  }
}

/** The deliveries, once so many attempts of each are on record. */
function attempted(
  house: ServedFolder,
  { ids, times }: { ids: readonly string[]; times: number },
) {
  return until(async () => {
    const deliveries = await house.deliveries();
    const done = deliveries.filter(({ event, attemptCount }) =>
      ids.includes(event) && attemptCount === times
    );
    return done.length === ids.length && deliveries;
  }, `${times} attempts each`);
}
