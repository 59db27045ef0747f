/** A daemon whose search takes many calls, each of which looks at a few rows: time flies there. */
import { setImmediate } from "node:timers";
import type { Config } from "../../src/config/config.ts";
import type { Clock } from "../../src/runtime/clock.ts";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { SqliteReader } from "../../src/outbox/sqlite/reader.ts";
import { SqliteOutbox } from "../../src/outbox/sqlite/sqlite_outbox.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, type TestDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { aDelivery, anEvent, aNewEvent, NOON } from "../outbox/building.ts";

class HurriedClock implements Clock {
  #ms = 0;

  wall(): number {
    return NOON;
  }

  monotonicMs(): number {
    return this.#ms += 250;
  }

  after(_ms: number, callback: () => void): () => void {
    setImmediate(callback);
    return () => {};
  }
}

/** The oldest of so many events has the needle; the one after it has no delivery. */
export async function aLongSearch(
  events = 600,
  server: Partial<Config["server"]> = {},
): Promise<TestDaemon> {
  const db = await openWriter(":memory:");
  const reader = new SqliteReader(db, new HurriedClock());
  const outbox = new SqliteOutbox(":memory:", { store: new Store(db), reader });
  const needle = { id: "bk_77-created", data: '{"guest":"Zoë Needle"}' };
  await outbox.enqueue({
    events: [
      aNewEvent({ event: anEvent(needle) }),
      aNewEvent({ event: anEvent({ id: "alone", data: '"lost needle"' }), deliveries: [] }),
    ],
    at: NOON - 1,
  });
  for (let from = 0; from < events; from += 100) {
    const some = Array.from(
      { length: 100 },
      (_, i) => aNewEvent({ event: anEvent({ id: `evt_${from + i}` }), deliveries: [aDelivery()] }),
    );
    await outbox.enqueue({ events: some, at: NOON + from });
  }
  await outbox.countReplay({ since: 0, until: NOON + events });
  const subscriptions = [
    aSubscription({ id: "crm", enabled: false }),
    aSubscription({ id: "pms" }),
  ];
  const config = aConfig({ subscriptions });
  return await aDaemon({ ...config, server: { ...config.server, ...server } }, {
    openOutbox: () => Promise.resolve(outbox),
  });
}
