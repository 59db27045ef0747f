import { assertEquals } from "@std/assert";
import { configJsonSchema } from "../../src/config/schema.ts";
import {
  bareSubscription,
  SETTINGS,
  settingsOf,
  shownSettings,
} from "../../src/config/settings.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";

const STANDARD = BUILT_IN.get("standard")!;
const BOOKING_EXPERTS = BUILT_IN.get("booking-experts")!;

Deno.test("settings: a subscription's own value comes before that of delivery", () => {
  const settings = settingsOf({
    own: { timeout: "5s", traceparent: false, retry: [] },
    delivery: { timeout: "6s", traceparent: true, retry: ["1m"], jitter: 0 },
    profile: STANDARD,
  });
  assertEquals(settings.timeoutMs, 5_000);
  assertEquals(settings.traceparent, false);
  assertEquals(settings.ladder, { waitsMs: [] });
  assertEquals(settings.jitter, 0);
});

Deno.test("settings: the profile's value comes after that of delivery", () => {
  const profile = { ...STANDARD, timeoutMs: 7_000, standardHeaders: false, httpsRequired: false };
  assertEquals(settingsOf({ profile }).timeoutMs, 7_000);
  assertEquals(settingsOf({ profile }).standardHeaders, false);
  assertEquals(settingsOf({ profile }).allowHttp, true);
  const delivery = { timeout: "6s", standardHeaders: true, allowHttp: false };
  assertEquals(settingsOf({ profile, delivery }).timeoutMs, 6_000);
  assertEquals(settingsOf({ profile, delivery }).standardHeaders, true);
  assertEquals(settingsOf({ profile, delivery }).allowHttp, false);
});

Deno.test("settings: the built-in value comes last, and a rate has none", () => {
  const { concurrency, keepResponseBytes, jitter, rateLimit } = settingsOf({ profile: STANDARD });
  assertEquals({ concurrency, keepResponseBytes, jitter, rateLimit }, {
    concurrency: 16,
    keepResponseBytes: 4_096,
    jitter: 0.1,
    rateLimit: undefined,
  });
});

Deno.test("settings: confirmation is only a choice where the profile has it", () => {
  const own = { waitForConfirmation: false };
  assertEquals(settingsOf({ own, profile: STANDARD }).waitForConfirmation, true);
  assertEquals(settingsOf({ own, profile: BOOKING_EXPERTS }).waitForConfirmation, false);
});

Deno.test("settings: a list of delivery is shared by all subscriptions that say nothing", () => {
  const delivery = { allowNetworks: ["10.0.0.0/8"] };
  const { allowNetworks } = settingsOf({ delivery, profile: STANDARD });
  assertEquals(allowNetworks === delivery.allowNetworks, true);
});

Deno.test("settings: each is shown as the file would say it", () => {
  for (const profile of BUILT_IN.values()) {
    const before = settingsOf({ own: { rateLimit: "10/m" }, profile });
    const own = shownSettings(before);
    // A schedule that goes on at intervals can only be said by a profile.
    if (before.ladder.thenEveryMs !== undefined) delete own.retry;
    assertEquals(settingsOf({ own, profile }), before);
    for (const [key, value] of Object.entries(own)) {
      SETTINGS[key as keyof typeof SETTINGS].schema.parse(value);
    }
  }
});

Deno.test("settings: subscriptions and delivery may say the same, in the same words", () => {
  const { properties, $defs } = configJsonSchema() as unknown as Schema;
  for (const key of Object.keys(SETTINGS)) {
    assertEquals(properties.delivery!.properties[key], $defs.Subscription!.properties[key], key);
  }
});

interface Schema {
  readonly properties: Readonly<Record<string, { readonly properties: Record<string, unknown> }>>;
  readonly $defs: Readonly<Record<string, { readonly properties: Record<string, unknown> }>>;
}

Deno.test("settings: a bare subscription has every setting by default", () => {
  const subscription = bareSubscription("one", "https://receiver.example/", BOOKING_EXPERTS);
  assertEquals({ ...subscription, ...settingsOf({ profile: BOOKING_EXPERTS }) }, subscription);
});
