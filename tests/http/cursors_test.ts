import { assertEquals } from "@std/assert";
import { formatInstant } from "../../src/domain/instant.ts";
import { aConfig } from "../support/a_config.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { aConformingDaemon } from "./conforming.ts";

Deno.test("lists: with a cursor, `until` still applies", async () => {
  const clock = new FakeClock();
  const subscriptions = [aSubscription({ id: "s", enabled: false })];
  await using daemon = await aConformingDaemon(aConfig({ subscriptions }), { clock });
  const instants: string[] = [];
  for (const id of ["e1", "e2", "e3", "e4"]) {
    instants.push(formatInstant(clock.wall()));
    await daemon.call("POST", "/v1/events", { id, type: "t", data: 1 });
    clock.advance(60_000);
  }
  for (const list of ["events", "deliveries"]) {
    const first = await daemon.call("GET", `/v1/${list}?limit=1`);
    // The cursor is after e4; `until` excludes e3 as well.
    const query = `cursor=${first.body.next}&until=${instants[2]}`;
    const { body } = await daemon.call("GET", `/v1/${list}?${query}`);
    const ids = body.items.map((item: { id: string; event?: string }) => item.event ?? item.id);
    assertEquals(ids, ["e2", "e1"], list);
  }
});
