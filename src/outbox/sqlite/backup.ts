import type { Audit } from "../reader.ts";
import { auditOn, DAMAGED, DamagedCopyError } from "./audit.ts";
import { openReading } from "./connection.ts";
import { copyDatabase } from "./copy.ts";
import { copyLive } from "./live_copy.ts";
import type { Working } from "../../runtime/long_work.ts";

/**
 * Copies a database to a new file, as of one moment, beside a running daemon or without one, and
 * holds the promises against the copy. It is a database like any other: put in the place of a lost
 * one it goes on from there. Throws BackupExistsError, NotOurDatabaseError, OutboxUnavailable,
 * DamagedCopyError, NoRoomError, Interrupted.
 */
export async function backup(from: string, to: string, working: Working = {}): Promise<Audit> {
  openReading(from).close();
  const { onProgress = () => {}, signal } = working;
  return await copyDatabase(from, to, async (copy) => {
    const audit = await auditOn(
      copy,
      (progress) => onProgress({ doing: "checking", ...progress }),
    );
    const damage = audit.faults.find((fault) => fault.startsWith(DAMAGED));
    if (damage !== undefined) throw new DamagedCopyError(to, damage);
    return audit;
  }, {
    ...working,
    beside: (partial, onProgress) => copyLive(from, partial, { onProgress, signal }),
  });
}
