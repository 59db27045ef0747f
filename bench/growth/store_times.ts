import { percentile } from "../load/statistics.ts";
import { openWriter } from "../../src/outbox/sqlite/connection.ts";
import type { Claimed } from "../../src/outbox/outbox.ts";
import { JOURNAL_PAGES } from "../../src/outbox/sqlite/checkpoints.ts";
import { Store } from "../../src/outbox/sqlite/store.ts";

/** The duration of single steps of the outbox, measured without the daemon. */
export interface StoreTimes {
  readonly claimP99Ms: number;
  readonly pruneP99Ms: number;
}

/** Claims, then prunes, this many deliveries, as if it were this time. */
export async function timeStore(
  path: string,
  { now, claim, prune }: { now: number; claim: number; prune: number },
): Promise<StoreTimes> {
  const db = await openWriter(path);
  const store = new Store(db);
  try {
    const claims: number[] = [], prunings: number[] = [];
    for (let i = 0; claim > 0 && i < WARM_UP + TIMES; i++) {
      const request = { subscription: `sub-${i % 10}`, now, limit: claim };
      let claimed: Claimed | undefined;
      claims.push(timed(() => claimed = store.claim(request)));
      store.release(claimed!.claims);
    }
    const request = { delivered: now - 3_600_000, exhausted: now, limit: prune };
    for (let i = 0; prune > 0 && i < WARM_UP + TIMES; i++) {
      // Each is a separate turn of the event loop.
      const batch = timed(() => store.apply([{ kind: "prune", request }]));
      const isLong = store.pages.journal().waiting >= JOURNAL_PAGES;
      prunings.push(Math.max(batch, isLong ? timed(() => store.pages.checkpoint()) : 0));
    }
    return {
      claimP99Ms: percentile(claims.slice(WARM_UP), 0.99),
      pruneP99Ms: percentile(prunings.slice(WARM_UP), 0.99),
    };
  } finally {
    store.close();
  }
}

const TIMES = 400;
/** Runs to warm up first: users meet compiled code. */
const WARM_UP = 40;

function timed(step: () => unknown): number {
  const startedAt = performance.now();
  step();
  return performance.now() - startedAt;
}
