/** A list was asked to go on from a cursor that no list hands out. */
export class InvalidCursorError extends Error {
  constructor(cursor: string) {
    super(
      `cannot read on from cursor "${cursor}": no list hands out such a one; start without it`,
    );
  }
}

/** Nothing can be stored now (disk full, locked, read-only); a later try may work. */
export class OutboxUnavailable extends Error {}

/** A row can't be read any more, by a fault of the disk or another program's; others still can. */
export class DataDamaged extends Error {}

/** The storage can be trusted no longer (a failed fsync, a corrupt file): the daemon must end. */
export class OutboxFailed extends Error {}
