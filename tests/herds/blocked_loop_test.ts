import { assertEquals } from "@std/assert";
import { ServedFolder } from "../clock/a_served_folder.ts";
import { hasFakedTime, SettableClock, WHERE_LEFT_OUT } from "../clock/faked_time.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

Deno.test({
  name: "herds: after 60 s of a blocked event loop nothing is lost and nothing sent twice" +
    WHERE_LEFT_OUT,
  ignore: !hasFakedTime,
  async fn() {
    const concurrency = 16, ids = Array.from({ length: 200 }, (_, index) => `ev-${index}`);
    const answers = Promise.withResolvers<void>();
    await using receiver = startRawServer(async (request) => {
      if (request.header("webhook-id")?.startsWith("ev-")) await answers.promise;
      return { status: 200 };
    });
    // A deadline of 10 s, like most profiles': it passes while nothing moves.
    await using house = new ServedFolder({ url: receiver.url, timeout: "10s", concurrency });
    const clock = new SettableClock(house.path, { monotonicToo: true });
    await house.start(clock.env);
    // The first request of a process takes its time, which is not to be told from a blocked loop.
    await house.publish(["warm-up"]);
    await attempted(house, 1);
    await house.publish(ids);
    await receiver.received(1 + concurrency);

    // It stands still: the receiver answers meanwhile, and by its clocks a minute has passed.
    house.signal("SIGSTOP");
    answers.resolve();
    // Asked after them, it is answered after them.
    await (await fetch(receiver.url)).body?.cancel();
    clock.setAhead(60);
    house.signal("SIGCONT");

    const deliveries = await attempted(house, 1 + ids.length);
    assertEquals(deliveries.filter(({ state }) => state !== "delivered"), []);
    const sent = receiver.requests.filter((request) => request.header("webhook-id"));
    assertEquals(sent.length, 1 + ids.length);
    await house.stop();
  },
});

/** All deliveries, once so many of them have an attempt on record. */
function attempted(house: ServedFolder, count: number) {
  return until(async () => {
    const all = await house.deliveries();
    return all.filter(({ attemptCount }) => attemptCount > 0).length === count && all;
  }, `${count} are attempted`);
}
