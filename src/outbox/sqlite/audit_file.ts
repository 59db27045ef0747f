import type { Audit } from "../reader.ts";
import { auditOn } from "./audit.ts";
import { openReading } from "./connection.ts";
import { closing } from "./copy.ts";
import { faultOf } from "./faults.ts";
import { SqliteThread } from "./sqlite_thread.ts";
import type { Working } from "../../runtime/long_work.ts";

/**
 * Holds the promises against the rows of a file, beside a running daemon or without one.
 * Throws NotOurDatabaseError, NewerSchemaError, Interrupted.
 */
export async function auditFile(
  path: string,
  { onProgress = () => {}, signal, sliceRows }: Working & { readonly sliceRows?: number } = {},
): Promise<Audit> {
  openReading(path).close();
  try {
    const thread = await SqliteThread.open(path, { readOnly: true, signal });
    return await closing(
      thread,
      () =>
        auditOn(thread, (progress) => onProgress({ doing: "checking", ...progress }), sliceRows),
    );
  } catch (error) {
    throw faultOf(error, path);
  }
}
