import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import { COMMITS_BETWEEN_LOOKS, JOURNAL_PAGES } from "../../src/outbox/sqlite/checkpoints.ts";
import type { Operation } from "../../src/outbox/sqlite/operations.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";
import { eventText } from "../load/event.ts";

/** The events per commit if 64 publishers post as fast as they are answered. */
const EVENTS_A_COMMIT = 24;

/**
 * The outbox's SQLite alone: how many events with one delivery each it stores a second, without
 * waiting for the disk. No webhook sender that stores its events this way can accept more.
 */
export async function bareStore(path: string, forMs: number): Promise<number> {
  const db = await openWriter(path);
  db.exec("pragma synchronous = off");
  const store = new Store(db);
  let seq = 0, commits = 0;
  try {
    const until = (endsAtMs: number) => {
      while (performance.now() < endsAtMs) {
        store.apply(Array.from({ length: EVENTS_A_COMMIT }, () => stored(++seq)));
        if (
          ++commits % COMMITS_BETWEEN_LOOKS > 0 || store.pages.journal().waiting < JOURNAL_PAGES
        ) {
          continue;
        }
        store.pages.checkpoint();
        // The outbox leaves synchronous commits on.
        db.exec("pragma synchronous = off");
      }
    };
    until(performance.now() + forMs / 4);
    const startedMs = performance.now(), before = seq;
    until(startedMs + forMs);
    return (seq - before) / (performance.now() - startedMs) * 1_000;
  } finally {
    store.close();
  }
}

function stored(seq: number): Operation {
  const at = Date.now();
  return {
    kind: "enqueue",
    request: {
      at,
      events: [{
        event: {
          id: `evt_${String(seq).padStart(26, "0")}`,
          type: "booking.created",
          occurredAt: at,
          scope: new Map(),
          data: eventText(seq, 1),
        },
        deliveries: [{
          subscription: `sub-${seq % 50}`,
          format: "{}",
          cause: "event",
          claim: false,
        }],
      }],
    },
  };
}
