import type { Audit } from "../outbox.ts";
import { auditDatabase } from "./audit.ts";
import { openReading } from "./connection.ts";
import { copyDatabase } from "./copy.ts";

/**
 * Copies a database to a new file, as of one moment, beside a running daemon or without one, and
 * holds the promises against the copy. It is a database like any other: put in the place of a lost
 * one it goes on from there. Throws BackupExistsError, NotOurDatabaseError, OutboxUnavailable.
 */
export async function backup(from: string, to: string): Promise<Audit> {
  const source = openReading(from);
  try {
    await copyDatabase(source, to);
  } finally {
    source.close();
  }
  const copy = openReading(to);
  try {
    return auditDatabase(copy);
  } finally {
    copy.close();
  }
}
