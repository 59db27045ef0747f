import { assertEquals } from "@std/assert";
import type { Event } from "../../src/domain/event.ts";
import { parseInstant } from "../../src/domain/instant.ts";
import { compact, type JsonText, membersOf } from "../../src/domain/json_text.ts";
import { Secret } from "../../src/domain/secret.ts";
import type { Subscription } from "../../src/domain/subscription.ts";
import { formatOf, renderBody } from "../../src/profiles/render.ts";
import { headersFor } from "../../src/profiles/sign.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { anEvent, aSubscription } from "../support/a_subscription.ts";

const FOLDER = new URL("../vectors/", import.meta.url);

for (const name of [...Deno.readDirSync(FOLDER)].map((entry) => entry.name).sort()) {
  Deno.test(`vectors: ${name} gives exactly this body and these headers`, async () => {
    const vector = await readVector(name);
    const body = renderBody(formatOf(vector.subscription), vector.event);
    const headers = headersFor({
      subscription: vector.subscription,
      event: vector.event,
      body: new TextEncoder().encode(body),
      at: vector.attemptAt,
    });
    const sent = new Map(headers.map(({ name, value }) => [name, value]));
    assertEquals(body, vector.expected.body);
    for (const [name, value] of Object.entries(vector.expected.headers)) {
      assertEquals(sent.get(name), value, name);
    }
  });
}

interface Vector {
  subscription: Subscription;
  event: Event;
  attemptAt: number;
  expected: { body: string; headers: Record<string, string> };
}

async function readVector(name: string): Promise<Vector> {
  const vector = memberMap(compact(await Deno.readTextFile(new URL(name, FOLDER))))!;
  const text = (from: Map<string, JsonText> | undefined, key: string): string | undefined => {
    const value = from?.get(key);
    return value === undefined ? undefined : JSON.parse(value);
  };
  const event = memberMap(vector.get("event"))!;
  const secret = text(vector, "secret");
  const metadata = event.get("metadata");
  const occurredAt = parseInstant(text(event, "timestamp") ?? "2024-03-15T10:30:00Z")!;
  return {
    subscription: aSubscription({
      profile: BUILT_IN.get(text(vector, "profile")!)!,
      ...(secret !== undefined && { secret: new Secret(secret) }),
      settings: memberMap(vector.get("settings")) ?? new Map(),
      permissions: JSON.parse(vector.get("permissions") ?? "[]"),
    }),
    event: anEvent({
      id: text(event, "id") ?? "evt_of_a_vector",
      type: text(event, "type")!,
      occurredAt,
      scope: memberMap(event.get("scope")) ?? new Map(),
      data: event.get("data")!,
      ...(metadata !== undefined && { metadata }),
    }),
    attemptAt: parseInstant(text(vector, "attemptAt") ?? "2024-03-15T10:40:00Z")!,
    expected: JSON.parse(vector.get("expect")!),
  };
}

function memberMap(text: JsonText | undefined): Map<string, JsonText> | undefined {
  return text === undefined ? undefined : new Map(membersOf(text));
}
