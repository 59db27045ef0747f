import { assertEquals } from "@std/assert";
import type { Event } from "../../src/domain/event.ts";
import { compact } from "../../src/domain/json_text.ts";
import { formatOf, renderBody } from "../../src/profiles/render.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { anyJsonText } from "../support/any_json_text.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";
import { jsonTokens } from "../support/json_tokens.ts";
import { anyText } from "../support/any_text.ts";
import { fc } from "../support/properties.ts";

/** What a publisher sends, as text. */
interface Posted {
  type: string;
  data: string;
  metadata: string | undefined;
  account: string;
  group: string | undefined;
}

const posted: fc.Arbitrary<Posted> = fc.record({
  type: anyText({ minLength: 1, maxLength: 20 }),
  data: anyJsonText(),
  metadata: fc.option(anyJsonText(), { nil: undefined }),
  account: fc.oneof(
    fc.constantFrom("1059638630", "9007199254740993", '"acc_1"', "1.10", "null"),
    fc.string().map((text) => JSON.stringify(text)),
  ),
  group: fc.option(fc.constantFrom('"group456"', "7"), { nil: undefined }),
});

/** The body that each platform's page describes, made of the publisher's texts. */
const PAGES: Record<string, (sent: Posted) => string> = {
  standard: ({ type, data }) =>
    `{"type":${quoted(type)},"timestamp":"2024-03-15T10:30:00Z","data":${data}}`,
  bookingsync: ({ type, data, account }) =>
    `{"account_id":${account},"event":${quoted(type)},"resource":${data}}`,
  "booking-experts": ({ type, data, metadata, account }) =>
    `{"event":${quoted(type)},"subscription_id":12345678901234567890,"record":${data},` +
    `"context":"administration","context_id":${account}` +
    `${metadata === undefined ? "" : `,"event_metadata":${metadata}`}}`,
  bookingshake: ({ type, data, account, group }) =>
    `{"event":${quoted(type)},"timestamp":1710498600000,"venue_id":${account},` +
    `"venues_group_id":${group ?? "null"},"data":${data}}`,
  bookingscheduler: ({ type, data }) =>
    `{"event":${quoted(type)},"timestamp":"2024-03-15T10:30:00Z","data":${data}}`,
  roostsync: ({ type, data, account }) =>
    `{"event":${
      quoted(type)
    },"timestamp":"2024-03-15T10:30:00Z","data":${data},"property_id":${account}}`,
};

const quoted = (text: string) => JSON.stringify(text);

for (const [name, pageBody] of Object.entries(PAGES)) {
  const subscription = aSubscription({
    profile: BUILT_IN.get(name)!,
    settings: new Map([["subscription_id", "12345678901234567890"]]),
  });

  Deno.test(`${name}: a receiver gets the publisher's values unchanged, with every digit and key`, () => {
    fc.assert(
      fc.property(posted, (sent) => {
        const body = renderBody(formatOf(subscription), accepted(sent));
        assertEquals(jsonTokens(body), jsonTokens(pageBody(sent)));
      }),
      { numRuns: 300 },
    );
  });

  Deno.test(`${name}: rendering again, from the stored format too, gives the same bytes`, () => {
    fc.assert(
      fc.property(posted, (sent) => {
        const event = accepted(sent);
        const format = formatOf(subscription);
        const body = renderBody(format, event);
        const stored = JSON.parse(
          JSON.stringify({ format, event: { ...event, scope: [...event.scope] } }),
        );
        assertEquals(renderBody(format, event), body);
        assertEquals(
          renderBody(stored.format, { ...stored.event, scope: new Map(stored.event.scope) }),
          body,
        );
      }),
      { numRuns: 100 },
    );
  });
}

/** The event as ingest stores it. */
function accepted({ type, data, metadata, account, group }: Posted): Event {
  return anEvent({
    type,
    data: compact(data),
    ...(metadata !== undefined && { metadata: compact(metadata) }),
    scope: new Map([
      ["account_id", compact(account)],
      ["context", '"administration"'],
      ["context_id", compact(account)],
      ["venue_id", compact(account)],
      ["property_id", compact(account)],
      ...(group === undefined ? [] : [["venues_group_id", group] as const]),
    ]),
  });
}
