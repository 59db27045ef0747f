import { DatabaseSync } from "node:sqlite";
import { openReader } from "../../src/outbox/sqlite/reader.ts";

/** One delivery in a database. */
export interface Entry {
  readonly state: "pending" | "delivered" | "exhausted" | "cancelled";
  readonly attempts: number;
}

/** What a killed daemon left, read from a copy of its files. */
export interface Ledger {
  /** By subscription and event. */
  readonly deliveries: ReadonlyMap<string, Entry>;
  readonly events: ReadonlySet<string>;
  /** The problems that `pragma integrity_check` and the audit find. */
  readonly faults: readonly string[];
}

/** The key of a delivery: an event goes to a subscription once. */
export function deliveryKey(subscription: string, event: string): string {
  return `${subscription} ${event}`;
}

/** Reads a database that isn't open, without changing its files. */
export async function readLedger(path: string): Promise<Ledger> {
  const folder = await Deno.makeTempDir();
  try {
    const copy = `${folder}/copy.db`;
    for (const end of ["", "-wal", "-journal"]) await copyIfThere(path + end, copy + end);
    return await readCopy(copy);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const STATES = ["pending", "delivered", "exhausted", "cancelled"] as const;

async function readCopy(path: string): Promise<Ledger> {
  using db = new DatabaseSync(path);
  const found = db.prepare("pragma integrity_check").all().map((row) => Object.values(row)[0]);
  const faults = found.length === 1 && found[0] === "ok" ? [] : found.map(String);
  const tables = db.prepare("select count(*) as n from sqlite_schema").get() as { n: number };
  // Killed while the database was created: it is still empty.
  if (tables.n === 0) return { deliveries: new Map(), events: new Set(), faults };
  const rows = db.prepare(`
    select cast(s.name as text) as subscription, cast(e.id as text) as event, d.state,
      d.attempt_count as attempts
    from deliveries_now d join events e on e.seq = d.event join subscriptions s on s.id = d.subscription
  `).all() as { subscription: string; event: string; state: number; attempts: number }[];
  const events = db.prepare("select cast(id as text) as id from events").all() as { id: string }[];
  const reader = openReader(path);
  const audit = await reader.audit();
  reader.close();
  return {
    deliveries: new Map(
      rows.map(({ subscription, event, state, attempts }) => [
        deliveryKey(subscription, event),
        { state: STATES[state]!, attempts },
      ]),
    ),
    events: new Set(events.map(({ id }) => id)),
    faults: [...faults, ...audit.faults],
  };
}

async function copyIfThere(from: string, to: string): Promise<void> {
  try {
    await Deno.copyFile(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
