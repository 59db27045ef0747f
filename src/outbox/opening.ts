import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { Working } from "../runtime/long_work.ts";
import type { WholeOutbox } from "./reader.ts";
import { openSqliteOutbox } from "./sqlite/opening.ts";

/** Who is told what is done before an outbox is open, and what ends that. */
export interface Opening extends Working {
  readonly clock: Clock;
  readonly log: Log;
}

/** Opens what a config's `storage` names, for one process at a time. Throws Interrupted at the signal. */
export function openOutbox(
  { path }: { readonly path: string },
  { log, ...opening }: Opening,
): Promise<WholeOutbox> {
  return openSqliteOutbox(path, {
    ...opening,
    onOutdated: (outdated) => log.databaseOutdated({ database: path, ...outdated }),
    onCopied: (copied) => log.copiedBeforeMigration({ database: path, ...copied }),
  });
}
