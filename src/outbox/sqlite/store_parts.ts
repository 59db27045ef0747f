import type { DatabaseSync } from "node:sqlite";
import { Claiming } from "./claiming.ts";
import { Claims } from "./claims.ts";
import { Enqueueing } from "./enqueueing.ts";
import { ExhaustedCounts } from "./exhausted_digest.ts";
import { HeaderTexts } from "./header_texts.ts";
import { HealthKeeping } from "./health_keeping.ts";
import { History } from "./history.ts";
import { Insertion, type NameTables } from "./insertion.ts";
import { FORMAT_NAMES, Names, SUBSCRIPTION_NAMES, TYPE_NAMES, URL_NAMES } from "./names.ts";
import { NewlyPending } from "./newly_pending.ts";
import { Numbers } from "./numbers.ts";
import { OperatorActions } from "./operator_actions.ts";
import { PendingCounts } from "./pending_counts.ts";
import { Pruning } from "./pruning.ts";
import { PublisherPending } from "./publisher_pending.ts";
import { RecordingAttempts } from "./recording.ts";
import { Replaying } from "./replaying.ts";
import { RollingUp } from "./rolling_up.ts";
import { Tallying } from "./tallying.ts";
import { Timekeeping } from "./timekeeping.ts";

/** What carries the operations out, each part one subject. */
export type StoreParts = ReturnType<typeof partsOf>;

export function partsOf(db: DatabaseSync, batchRows: number) {
  const names: NameTables = {
    subscriptions: new Names(db, SUBSCRIPTION_NAMES, { writes: true }),
    types: new Names(db, TYPE_NAMES, { writes: true }),
    formats: new Names(db, FORMAT_NAMES, { writes: true }),
  };
  const urls = new Names(db, URL_NAMES, { writes: true });
  const headers = new HeaderTexts(db);
  const numbers = new Numbers(db);
  const claims = new Claims(names.subscriptions);
  const newlyPending = new NewlyPending(db);
  const pending = new PendingCounts(db);
  const publisherPending = new PublisherPending(db);
  const history = new History(db, names.subscriptions);
  const exhausted = new ExhaustedCounts(db, names.subscriptions);
  const health = new HealthKeeping(db);
  const insertion = new Insertion(db, names, numbers);
  const rollingUp = new RollingUp(db, { tallying: new Tallying(db), health }, batchRows);
  const replaysBegun = (): number => replaying.last;
  const actions = new OperatorActions(db, { names, claims, insertion, exhausted, replaysBegun });
  const replaying: Replaying = new Replaying(db, { names, insertion, actions });
  return {
    names,
    urls,
    headers,
    numbers,
    claims,
    newlyPending,
    pending,
    publisherPending,
    history,
    exhausted,
    health,
    insertion,
    rollingUp,
    actions,
    replaying,
    enqueueing: new Enqueueing(db, { names, claims, insertion, pending, publisherPending }),
    recording: new RecordingAttempts(db, {
      claims,
      urls,
      headers,
      numbers,
      insertion,
      replaying,
      health,
      exhausted,
      history,
      rollingUp,
    }),
    claiming: new Claiming(db, { names, claims, newlyPending, pending, rollingUp }),
    pruning: new Pruning(db),
    timekeeping: new Timekeeping(db, names.subscriptions),
    probe: db.prepare(PARTS_SQL.probe),
  };
}

/** The statements by name; the tests ask SQLite how it would run each. */
export const PARTS_SQL = {
  // As much as a common event, so that room for a row alone is not taken for room.
  probe: `
    insert into probe (id, filler) values (1, zeroblob(65536))
    on conflict (id) do update set filler = excluded.filler`,
} as const;
