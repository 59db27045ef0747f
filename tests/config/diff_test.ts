import { assert, assertEquals } from "@std/assert";
import { diffConfigs, formatDiff, isUnchanged, replacementOf } from "../../src/config/diff.ts";
import { finished, Turn } from "../../src/runtime/turn.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fc } from "../support/properties.ts";
import { configOf, entry } from "./a_reading.ts";

async function diffOf(before: unknown, after: unknown, env?: Record<string, string>) {
  const configs = [await configOf(before), await configOf(after, env ? { env } : {})] as const;
  return (await diffConfigs(...configs, new Turn(new FakeClock()))).diff;
}

/** All of its text, for a look at what it shows. */
async function linesOf(before: unknown, after: unknown, env?: Record<string, string>) {
  return formatDiff(await diffOf(before, after, env));
}

function subscriptions(...entries: unknown[]) {
  return { subscriptions: entries };
}

const ROOSTSYNC = { profile: "roostsync", secret: { env: "TEXT" } };

Deno.test("diff: a config does not differ from itself", async () => {
  const config = {
    notify: [{ command: ["true"] }],
    profiles: { ours: { extends: "standard", timeout: "1s" } },
    eventTypes: { "booking.created": { example: { n: 1.10 } } },
    auth: { operators: [{ name: "ops", token: { env: "TEXT" } }] },
    subscriptions: [entry({ match: { n: { ">": 1 } }, headers: { "X-A": { env: "OTHER" } } })],
  };
  assert(isUnchanged(await diffOf(config, config)));
});

Deno.test("diff: subscriptions are added, removed and changed by their ids", async () => {
  const before = subscriptions(entry({ id: "gone" }), entry({ id: "kept", scope: { a: 1 } }));
  const after = subscriptions(entry({ id: "kept", scope: { a: 2 } }), entry({ id: "new" }));
  const { added, changed, removed } = await diffOf(before, after);
  assertEquals({ added, changed, removed }, {
    added: ["new"],
    changed: ["kept"],
    removed: ["gone"],
  });
});

Deno.test("diff: a subscription's keys are named as in the file, with their values", async () => {
  const after = { timeout: "10s", retry: ["1s", "2s"], rateLimit: "10/m", success: "200,409" };
  assertEquals(await linesOf(subscriptions(entry()), subscriptions(entry(after))), [
    '~ one: timeout 30s → 10s, retry ["1m","5m","30m","2h","24h"] → ["1s","2s"], ' +
    "success 2xx → 200,409, rateLimit unset → 10/m",
  ]);
});

Deno.test("diff: a rate is spelled as in the file, whatever its unit", async () => {
  for (const unit of ["s", "m", "h", "d"]) {
    const lines = await linesOf(
      subscriptions(entry({ rateLimit: `5000/${unit}` })),
      subscriptions(entry({ rateLimit: `6000/${unit}` })),
    );
    assertEquals(lines, [`~ one: rateLimit 5000/${unit} → 6000/${unit}`]);
  }
});

Deno.test("diff: defaults and profiles count by what they make of a subscription", async () => {
  const plain = { subscriptions: [entry()] };
  assertEquals(await linesOf(plain, { delivery: { concurrency: 2 }, ...plain }), [
    "~ one: concurrency 16 → 2",
  ]);
  const own = (timeout: string) => ({
    profiles: { ours: { extends: "standard", timeout } },
    subscriptions: [entry({ profile: "ours" })],
  });
  assertEquals(await linesOf(own("1s"), own("2s")), [
    "~ one: profile, timeout 1s → 2s",
    "~ profiles.ours",
  ]);
});

Deno.test("diff: a spelled-out default is no change", async () => {
  const spelled = subscriptions(entry({ timeout: "30000ms", jitter: 0.10, enabled: true }));
  assert(isUnchanged(await diffOf(subscriptions(entry()), spelled)));
});

Deno.test("diff: of a secret it tells that it changed, and nothing else", async () => {
  const config = {
    auth: { publishers: [{ name: "pms", token: { env: "OTHER" } }] },
    notify: [{ webhook: { url: "https://example.com/", secret: { env: "WHSEC" } } }],
    subscriptions: [
      entry({
        ...ROOSTSYNC,
        previousSecret: { env: "TEXT", until: "2030-01-01T00:00:00Z" },
        headers: { "X-Key": { env: "TEXT" } },
      }),
    ],
  };
  const env = {
    TEXT: "hunter2-hunter2",
    OTHER: "hunter2-hunter3-hunter4",
    WHSEC: `whsec_${btoa("hunter2".repeat(6))}`,
  };
  assertEquals(await linesOf(config, config, env), [
    "~ one: secret, previousSecret, headers",
    "~ auth.publishers.pms",
    "~ notify",
  ]);
  assert(!/hunter|free-text/.test(JSON.stringify(await diffOf(config, config, env))));
});

Deno.test("diff: a header's fixed value is not shown, for it may be a secret", async () => {
  const withKey = (key: string) => subscriptions(entry({ headers: { "X-Key": key } }));
  assertEquals(await linesOf(withKey("hunter2"), withKey("hunter3")), ["~ one: headers"]);
});

Deno.test("diff: the listening address and the database need a restart", async () => {
  const after = {
    server: { listen: "127.0.0.1:9000", maxBody: "1MiB" },
    storage: { url: "sqlite:/var/b.db", keepDelivered: "1d" },
  };
  const diff = await diffOf({ storage: { url: "sqlite:/var/a.db" } }, after);
  assertEquals(diff.needsRestart, ["server.listen", "storage.url"]);
  assertEquals(formatDiff(diff), [
    "~ server.listen 127.0.0.1:8420 → 127.0.0.1:9000 (needs a restart)",
    "~ server.maxBody 256KiB → 1MiB",
    "~ storage.url sqlite:/var/a.db → sqlite:/var/b.db (needs a restart)",
    "~ storage.keepDelivered 30d → 24h",
  ]);
});

Deno.test("diff: callers, event types and profiles are named one by one", async () => {
  const after = {
    auth: { operators: [{ name: "ops", token: { env: "TEXT" } }] },
    eventTypes: { "booking.created": {} },
    profiles: { ours: { extends: "standard" } },
  };
  assertEquals((await diffOf({}, after)).settings, [
    "auth",
    "auth.operators.ops",
    "eventTypes",
    'eventTypes["booking.created"]',
    "profiles.ours",
  ]);
});

Deno.test("replacement: whatever is moved, made, read again and removed, it leads from one list to the other", () => {
  const ids = fc.uniqueArray(fc.constantFrom(..."abcdefgh"), { maxLength: 8 });
  fc.assert(
    fc.property(ids, ids, fc.uniqueArray(fc.constantFrom(..."abcdefgh")), (from, to, again) => {
      const before = from.map((id) => aSubscription({ id }));
      const kept = new Map(before.map((one) => [one.id, one]));
      const after = to.map((id) =>
        again.includes(id) ? aSubscription({ id }) : kept.get(id) ?? aSubscription({ id })
      );
      const { added, replaced, removed } = finished(replacementOf(before, after));
      const led = new Map(before.map((one) => [one.id, one]));
      for (const one of removed) assert(led.get(one.id) === one && led.delete(one.id));
      for (const one of replaced) {
        assert(one.before !== one.after && led.get(one.before.id) === one.before);
        led.set(one.after.id, one.after);
      }
      for (const one of added) assert(!led.has(one.id) && led.set(one.id, one));
      assertEquals(led.size, after.length);
      for (const one of after) assert(led.get(one.id) === one);
    }),
  );
});

Deno.test("replacement: one more among 5 000 is found from both ends, and no other is looked at", () => {
  const before = Array.from({ length: 5_000 }, (_, index) => aSubscription({ id: `s${index}` }));
  const after = before.toSpliced(2_500, 0, aSubscription({ id: "new" }));
  const asked: string[] = [];
  for (const one of after) {
    const { id } = one;
    Object.defineProperty(one, "id", { get: () => (asked.push(id), id) });
  }
  const { added, replaced, removed } = finished(replacementOf(before, after));
  assert(added.length === 1 && added[0] === after[2_500]);
  assertEquals([replaced, removed], [[], []]);
  assertEquals(new Set(asked), new Set(["new"]));
});
