import { OutboxUnavailable } from "../errors.ts";
import type { Checkpoints } from "./checkpoints.ts";
import type { Journal } from "./journal.ts";
import type { Lock } from "./lock.ts";
import type { OwnFiles } from "./own_files.ts";
import type { SqliteReader } from "./reader.ts";
import type { Store } from "./store.ts";
import type { Trust } from "./trust.ts";

/** Whatever an outbox has open. */
interface Open {
  readonly trust: Trust;
  readonly checkpoints: Checkpoints;
  readonly store: Store;
  readonly reader: SqliteReader;
  readonly journal: Journal | undefined;
  readonly files: OwnFiles | undefined;
  /** None in memory, where writer and reader share one connection. */
  readonly lock: Lock | undefined;
}

/** Closes everything, once nothing is asked any more. What can be trusted is left as one file. */
export async function letGo(open: Open): Promise<void> {
  const { trust, checkpoints, reader, journal, files, lock } = open;
  trust.stopLooking();
  await checkpoints.ended();
  if (!trust.failure) trust.look();
  await trust.rescued();
  await reader.leaveThread();
  try {
    if (trust.failure) closeUntouched(open);
    else closeAsOneFile(open);
  } catch (error) {
    throw trust.judge(error);
  } finally {
    journal?.close();
    files?.close();
    lock?.release();
  }
}

function closeAsOneFile({ trust, store, reader, journal, lock }: Open): void {
  if (lock) reader.close();
  journal?.leave();
  try {
    store.pages.emptyJournal();
  } catch (error) {
    // On a full disk the journal stays beside the file, and is as durable there.
    if (!(trust.judge(error) instanceof OutboxUnavailable)) throw error;
  } finally {
    store.close();
  }
}

/** The last connection to close moves the journal over, unless it is one that only reads. */
function closeUntouched({ store, reader, journal, lock }: Open): void {
  store.close();
  if (lock) reader.close();
  journal?.leave();
}
