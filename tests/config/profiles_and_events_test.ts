import { assertEquals, assertStringIncludes } from "@std/assert";
import { parseEvents } from "../../src/ingest/posted_event.ts";
import { entry, problemsOf, withText } from "./a_reading.ts";

Deno.test("profile: an unknown one gets the nearest name", async () => {
  assertEquals(
    await problemsOf(withText(`"profile": "bookingsink"`)),
    [
      "config.json:7:16  subscriptions[0].profile",
      '  there is no profile "bookingsink"',
      '  fix: did you mean "bookingsync"?',
    ].join("\n"),
  );
});

Deno.test("profile: an unknown default is told once, where it stands", async () => {
  assertEquals(
    await problemsOf({ delivery: { profile: "standart" }, subscriptions: [entry()] }),
    [
      "config.json:3:16  delivery.profile",
      '  there is no profile "standart"',
      '  fix: did you mean "standard"?',
    ].join("\n"),
  );
});

Deno.test("profile: an unknown base gets the nearest name", async () => {
  assertEquals(
    await problemsOf({ profiles: { ours: { extends: "roostsink" } } }),
    [
      "config.json:4:18  profiles.ours.extends",
      '  there is no profile "roostsink"',
      '  fix: did you mean "roostsync"?',
    ].join("\n"),
  );
});

Deno.test("profile: a circle of bases is told once", async () => {
  assertEquals(
    await problemsOf({
      profiles: { a: { extends: "b" }, b: { extends: "c" }, c: { extends: "b" } },
    }),
    [
      "config.json:10:18  profiles.c.extends",
      '  profiles extend each other: "b" extends "c" extends "b"',
      "  fix: let one of them extend none",
    ].join("\n"),
  );
});

Deno.test("profile: one that extends itself is told of", async () => {
  assertEquals(
    await problemsOf({ profiles: { a: { extends: "a" } } }),
    [
      "config.json:4:18  profiles.a.extends",
      '  profiles extend each other: "a" extends "a"',
      "  fix: let one of them extend none",
    ].join("\n"),
  );
});

Deno.test("profile: a built-in name is taken", async () => {
  assertEquals(
    await problemsOf({ profiles: { standard: { extends: "standard" } } }),
    [
      "config.json:3:5  profiles.standard",
      '  the profile "standard" is built in',
      "  fix: give yours another name, and extend it where you need to",
    ].join("\n"),
  );
});

Deno.test("profile: a name says something, on one line", async () => {
  const ours = { extends: "standard" };
  assertEquals(
    await problemsOf({ profiles: { "": ours, "o\nurs": ours, "\ud800": ours } }),
    [
      'config.json:3:5  profiles[""]',
      "  the profile's name is empty",
      'config.json:6:5  profiles["o\\nurs"]',
      "  the profile's name holds a control character",
      'config.json:9:5  profiles["\\ud800"]',
      "  the profile's name holds half a character: a surrogate without its partner",
    ].join("\n"),
  );
});

Deno.test("profile: what is signed has something of the request in it", async () => {
  assertEquals(
    await problemsOf({
      profiles: { ours: { extends: "standard", signature: { header: "X-Ours", over: "v1" } } },
    }),
    [
      "config.json:7:17  profiles.ours.signature.over",
      '  "v1" signs nothing of the request: it is the same for all',
      '  fix: add "{body}"',
    ].join("\n"),
  );
});

Deno.test("profile: one that extends none needs a body", async () => {
  assertEquals(
    await problemsOf({ profiles: { ours: { timeout: "5s" } } }),
    [
      "config.json:3:13  profiles.ours.body",
      '  a profile that extends none has a "body"',
      '  fix: add one, or "extends"',
    ].join("\n"),
  );
});

Deno.test("profile: the words are checked with their places", async () => {
  assertEquals(
    await problemsOf({
      profiles: {
        ours: {
          extends: "standard",
          retry: ["1x"],
          headers: { "X-A": "{nope}" },
          body: { a: { form: "type" } },
        },
      },
    }),
    [
      "config.json:6:9  profiles.ours.retry[0]",
      '  "1x" is no length of time',
      '  fix: write it as "30s", "5m" or "2h"',
      'config.json:9:16  profiles.ours.headers["X-A"]',
      '  "{nope}" is no placeholder here',
      '  fix: there are "{id}", "{timestamp}", "{uuid}", "{type}"',
      "config.json:12:14  profiles.ours.body.a",
      '  a member of the body has one of "from", "value" and "members"; here is none',
      "config.json:13:11  profiles.ours.body.a.form",
      '  the key "form" is unknown',
      '  fix: did you mean "from"?',
    ].join("\n"),
  );
});

Deno.test("profile: a wrong one is told of once, not at each that uses it", async () => {
  assertEquals(
    await problemsOf({
      profiles: { ours: { extends: "standard", timeout: 5 } },
      subscriptions: [entry({ profile: "ours" })],
    }),
    [
      "config.json:5:18  profiles.ours.timeout",
      "  expected a text, found a number",
    ].join("\n"),
  );
});

Deno.test("profile: a setting it needs is told of", async () => {
  assertEquals(
    await problemsOf({
      subscriptions: [
        entry({ profile: "booking-experts", events: ["*:*"], permissions: ["reservation"] }),
      ],
    }),
    [
      "config.json:3:5  subscriptions[0].settings.subscription_id",
      '  profile "booking-experts" needs the setting "subscription_id"',
      '  fix: add "settings": {"subscription_id": …}',
    ].join("\n"),
  );
});

Deno.test("profile: a setting it needs is a text or a number", async () => {
  const told = (subscription_id: unknown) =>
    problemsOf({
      subscriptions: [
        entry({
          profile: "booking-experts",
          events: ["*:*"],
          permissions: ["reservation"],
          settings: { subscription_id },
        }),
      ],
    });
  for (const nothing of [null, true, {}, [1]]) {
    assertStringIncludes(await told(nothing), '"subscription_id" as a text or a number');
  }
  for (const one of ["", "sub-1", 0, -7]) assertEquals(await told(one), "");
});

Deno.test("profile: waiting for confirmation is no choice of most", async () => {
  assertEquals(
    await problemsOf(withText(`"waitForConfirmation": false`)),
    [
      "config.json:7:28  subscriptions[0].waitForConfirmation",
      '  profile "standard" knows no choice of waiting for confirmation',
      "  fix: take it out",
    ].join("\n"),
  );
});

Deno.test("events: an exact name must be declared", async () => {
  assertEquals(
    await problemsOf({
      eventTypes: { "booking.cancelled": {} },
      subscriptions: [entry({ events: ["booking.canceled"] })],
    }),
    [
      "config.json:10:9  subscriptions[0].events[0]",
      '  no event type "booking.canceled" is declared',
      '  fix: did you mean "booking.cancelled"?',
    ].join("\n"),
  );
});

Deno.test("events: a wildcard must fit a declared name", async () => {
  assertEquals(
    await problemsOf({
      eventTypes: { "booking.cancelled": {} },
      subscriptions: [entry({ events: ["bookings.*"] })],
    }),
    [
      "config.json:10:9  subscriptions[0].events[0]",
      '  no declared event type fits "bookings.*"',
      '  fix: there is only "booking.cancelled"',
    ].join("\n"),
  );
});

Deno.test("events: an exact name must be in the profile's catalogue", async () => {
  assertEquals(
    await problemsOf({
      subscriptions: [
        entry({ profile: "roostsync", secret: { env: "TEXT" }, events: ["booking.canceled"] }),
      ],
    }),
    [
      "config.json:7:9  subscriptions[0].events[0]",
      '  profile "roostsync" has no event "booking.canceled"',
      '  fix: did you mean "booking.cancelled"?',
    ].join("\n"),
  );
});

Deno.test("events: the nearest name is told, however far from it and however many there are", async () => {
  const fixOf = async (profile: string, event: string) => {
    const subscription = entry({ profile, secret: { env: "TEXT" }, events: [event] });
    return (await problemsOf({ subscriptions: [subscription] })).split("\n").at(-1);
  };
  const nearest = [
    await fixOf("bookingsync", "guest_checkin"),
    await fixOf("bookingsync", "zzz*"),
    await fixOf("roostsync", "reservation.created"),
  ];
  assertEquals(nearest, [
    '  fix: the nearest it has is "client_created"',
    '  fix: the nearest it has is "photo_created"',
    '  fix: the nearest it has is "order.created"',
  ]);
});

Deno.test("events: a wildcard must fit the profile's catalogue", async () => {
  assertEquals(
    await problemsOf({
      subscriptions: [
        entry({ profile: "roostsync", secret: { env: "TEXT" }, events: ["review.*"] }),
      ],
    }),
    [
      "config.json:7:9  subscriptions[0].events[0]",
      '  profile "roostsync" has no event that fits "review.*"',
      '  fix: there are "booking.created", "booking.updated", "booking.cancelled", "guest.checkin", "guest.checkout", "order.created", "order.completed", "inventory.low", "payment.received"',
    ].join("\n"),
  );
});

Deno.test("events: a declared name that the profile does not have wants a rename", async () => {
  assertEquals(
    await problemsOf({
      eventTypes: { "booking.cancelled": {} },
      subscriptions: [
        entry({ profile: "bookingsync", secret: { env: "TEXT" }, events: ["booking.cancelled"] }),
      ],
    }),
    [
      "config.json:10:9  subscriptions[0].events[0]",
      '  profile "bookingsync" has no event "booking.cancelled"',
      '  fix: name the receiver\'s event: "rename": {"booking.cancelled": "…"}',
    ].join("\n"),
  );
});

Deno.test("events: a wildcard must reach the catalogue by a declared name", async () => {
  assertEquals(
    await problemsOf({
      eventTypes: { "booking.moved": {} },
      subscriptions: [
        entry({ profile: "roostsync", secret: { env: "TEXT" }, events: ["booking.*"] }),
      ],
    }),
    [
      "config.json:10:9  subscriptions[0].events[0]",
      '  profile "roostsync" has no event that fits "booking.*"',
      '  fix: there are "booking.created", "booking.updated", "booking.cancelled", "guest.checkin", "guest.checkout", "order.created", "order.completed", "inventory.low", "payment.received"',
    ].join("\n"),
  );
});

Deno.test("events: what it is renamed to must be in the catalogue", async () => {
  assertEquals(
    await problemsOf({
      subscriptions: [
        entry({
          profile: "bookingsync",
          secret: { env: "TEXT" },
          events: ["booking.cancelled"],
          rename: { "booking.cancelled": "booking_destroy" },
        }),
      ],
    }),
    [
      'config.json:14:30  subscriptions[0].rename["booking.cancelled"]',
      '  profile "bookingsync" has no event "booking_destroy"',
      '  fix: did you mean "booking_destroyed"?',
    ].join("\n"),
  );
});

Deno.test("events: one name is renamed at a time", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ rename: { "booking.*": "b" } })] }),
    [
      'config.json:13:9  subscriptions[0].rename["booking.*"]',
      '  "booking.*" is no event type, and only one type can be renamed at a time',
      "  fix: give the type's full name",
    ].join("\n"),
  );
});

Deno.test("events: what is renamed must be declared", async () => {
  assertEquals(
    await problemsOf({
      eventTypes: { "booking.created": {} },
      subscriptions: [entry({ rename: { "booking.creatd": "b" } })],
    }),
    [
      'config.json:16:9  subscriptions[0].rename["booking.creatd"]',
      '  no event type "booking.creatd" is declared',
      '  fix: did you mean "booking.created"?',
    ].join("\n"),
  );
});

Deno.test("events: a name it is renamed to is no pattern", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ rename: { "booking.created": "b*" } })] }),
    [
      'config.json:13:28  subscriptions[0].rename["booking.created"]',
      '  "b*" is no event name: "*" stands for any text',
      "  fix: give the receiver's full name of the event",
    ].join("\n"),
  );
});

Deno.test("events: none at all is refused", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ events: [] })] }),
    [
      "config.json:6:17  subscriptions[0].events",
      "  the list is empty",
      "  fix: add one, or more",
    ].join("\n"),
  );
});

Deno.test("events: an empty pattern is refused", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ events: [""] })] }),
    [
      "config.json:7:9  subscriptions[0].events[0]",
      "  the pattern is empty",
      '  fix: write "*" for all types',
    ].join("\n"),
  );
});

Deno.test("events: a pattern that fits no type that can be posted is refused", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ events: ["booking created", "a\n*"] })] }),
    [
      "config.json:7:9  subscriptions[0].events[0]",
      '  "booking created" fits no event type: none has white space or a control character',
      "  fix: write the type as it is posted",
      "config.json:8:9  subscriptions[0].events[1]",
      '  "a\\n*" fits no event type: none has white space or a control character',
      "  fix: write the type as it is posted",
    ].join("\n"),
  );
});

Deno.test("events: a type that cannot be posted is not renamed", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ events: ["*"], rename: { "a b": "c" } })] }),
    [
      'config.json:13:9  subscriptions[0].rename["a b"]',
      '  "a b" cannot be an event type',
      "  fix: write the type as it is posted",
    ].join("\n"),
  );
});

Deno.test("events: a name it is renamed to is not empty", async () => {
  assertEquals(
    await problemsOf({ subscriptions: [entry({ rename: { "booking.created": "" } })] }),
    [
      'config.json:13:28  subscriptions[0].rename["booking.created"]',
      "  the name is empty",
      "  fix: give the receiver's name of the event, or take this out",
    ].join("\n"),
  );
});

Deno.test("events: the catalogue takes the very types that can be posted", async () => {
  const types = ["a", "a b", "a\u00a0b", "a\tb", "a\u2028", "é", "😀", "\ud800", "\u0085", ""];
  for (const type of [...types, "x".repeat(256), "x".repeat(257)]) {
    const posted = parseEvents(JSON.stringify({ type, data: null }), "events");
    const told = await problemsOf({ eventTypes: { [type]: {} } });
    assertEquals(told === "", posted.kind === "parsed", `${JSON.stringify(type)}\n${told}`);
  }
});

Deno.test("events: a type in the catalogue is no pattern", async () => {
  assertEquals(
    await problemsOf({ eventTypes: { "booking.*": {} } }),
    [
      'config.json:3:5  eventTypes["booking.*"]',
      '  "booking.*" cannot be an event type',
      '  fix: use 1 to 256 characters, no "*", white space or control character',
    ].join("\n"),
  );
});
