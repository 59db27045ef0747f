import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import type { Config } from "../src/config/config.ts";
import type { Loaded } from "../src/config/load.ts";
import type { HistoryEntry } from "../src/outbox/outbox.ts";
import { Reloading } from "../src/reloading.ts";
import { silentLog } from "../src/runtime/log.ts";
import { aConfig } from "./support/a_config.ts";
import { aSubscription } from "./support/a_subscription.ts";
import { FakeClock } from "./support/fake_clock.ts";

/** Reloading whose loads are answered one by one. */
function aReloading() {
  const loads: ((loaded: Loaded) => void)[] = [];
  const history: HistoryEntry[] = [];
  const logged: string[] = [];
  const notified: (readonly string[])[] = [];
  let config: Config = aConfig();
  const clock = new FakeClock();
  const reloading = new Reloading({
    clock,
    log: {
      ...silentLog,
      configReloaded: (summary) => void logged.push(summary),
      configRejected: (problems) => void logged.push(problems.join("; ")),
    },
    config: () => config,
    load: () => new Promise((resolve) => loads.push(resolve)),
    pending: () => Promise.resolve(new Map()),
    now: () => clock.wall(),
    apply(next) {
      config = next;
      return Promise.resolve();
    },
    remember(entries) {
      history.push(...entries);
      return Promise.resolve();
    },
    telling({ problems }, store) {
      notified.push(problems ?? []);
      return store([]);
    },
    onRejected() {},
  });
  const turns = async () => {
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
  };
  return { reloading, loads, history, logged, notified, turns };
}

function loaded(subscriptions: number): Loaded {
  const all = Array.from({ length: subscriptions }, (_, i) => aSubscription({ id: `s${i}` }));
  return { ok: true, config: aConfig({ subscriptions: all }), warnings: [] };
}

Deno.test("reload(): thirty at once read the file once, and all get the answer", async () => {
  const { reloading, loads, history, turns } = aReloading();
  const reports = Array.from({ length: 30 }, () => reloading.reload({ by: "ann" }));
  await turns();
  assertEquals(loads.length, 1);
  loads[0]!(loaded(1));
  const kinds = new Set((await Promise.all(reports)).map(({ kind }) => kind));
  assertEquals([...kinds], ["reloaded"]);
  assertEquals(history.length, 1);
});

Deno.test("reload(): who asks while a file is read gets one that is read afterwards", async () => {
  const { reloading, loads, history, turns } = aReloading();
  const first = reloading.reload({ by: "ann" });
  await turns();
  const late = [
    reloading.reload({ by: "bob" }),
    reloading.reload({ by: "cleo" }),
    reloading.reload({ by: "bob" }),
  ];
  loads[0]!(loaded(1));
  await first;
  await turns();
  assertEquals(loads.length, 2);
  loads[1]!(loaded(2));
  for (const report of await Promise.all(late)) {
    assert(report.kind === "reloaded");
    assertEquals(report.added, ["s1"]);
  }
  assertEquals(history.map(({ by }) => by), ["ann", "bob", "cleo"]);
});

Deno.test("reload(): a dry run and a reload do not share", async () => {
  const { reloading, loads, turns } = aReloading();
  const dry = reloading.reload({ dryRun: true });
  const real = reloading.reload();
  await turns();
  loads[0]!(loaded(1));
  await dry;
  await turns();
  loads[1]!(loaded(1));
  const report = await real;
  assert(report.kind === "reloaded");
  assertEquals(report.added, ["s0"]);
});

Deno.test("reload(): of 20 000 changes the log and the history name a few, the answer all", async () => {
  const { reloading, loads, history, logged, turns } = aReloading();
  const reload = reloading.reload();
  await turns();
  loads[0]!(loaded(20_000));
  const report = await reload;
  assert(report.kind === "reloaded");
  assertEquals(report.added.length, 20_000);
  for (const line of [logged[0]!, history[0]!.cause]) {
    assert(line.length < 1_000);
    assertStringIncludes(line, "and 19990 more");
  }
});

Deno.test("reload(): of 20 000 problems log, history and notice name a few", async () => {
  const { reloading, loads, history, logged, notified, turns } = aReloading();
  const reload = reloading.reload();
  await turns();
  const problems = Array.from(
    { length: 20_000 },
    (_, i) => ({ file: "config.json", path: `subscriptions[${i}].url`, message: "is missing" }),
  );
  loads[0]!({ ok: false, problems, warnings: [] });
  const report = await reload;
  assert(report.kind === "rejected");
  assertEquals(report.problems.length, 1_001);
  assertStringIncludes(report.problems.at(-1)!.message, "and 19000 more");
  assert(logged[0]!.length < 5_000);
  assert(history[0]!.cause.length < 500);
  assertEquals(notified[0]!.length, 11);
});
