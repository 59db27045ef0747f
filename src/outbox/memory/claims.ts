import type { Claim } from "../outbox.ts";
import { type DeliveryRow, idOf, type Rows } from "./rows.ts";

/** Who may attempt what: nothing of it outlives the process. */
export class Claims {
  readonly #rows: Rows;
  /** The token of each claim, by its delivery's number. */
  readonly #held = new Map<number, number>();
  /** The same of deliveries that were cancelled while claimed: their attempts are still to come. */
  readonly #cancelled = new Map<number, number>();
  #lastToken = 0;

  constructor(rows: Rows) {
    this.#rows = rows;
  }

  /** What is pending and nobody has claimed. */
  unclaimed(): DeliveryRow[] {
    return this.#rows.pending().filter(({ seq }) => !this.#held.has(seq));
  }

  claim(row: DeliveryRow): Claim {
    const { subscription, cause, createdAt, redeliveryOf, attempts, event, format } = row;
    const token = ++this.#lastToken;
    this.#held.set(row.seq, token);
    return {
      delivery: {
        id: idOf(row),
        ...{ subscription, cause, attemptCount: attempts.length, createdAt },
        ...(redeliveryOf !== undefined && { redeliveryOf }),
      },
      event: event.event,
      format,
      ...(attempts[0] && { firstAttemptAt: attempts[0].startedAt }),
      token,
    };
  }

  /** Ends a claim; undefined where it was not held any more, and late where a cancel had ended it. */
  end({ delivery: { id }, token }: Claim): { row: DeliveryRow; isLate: boolean } | undefined {
    const row = this.#rows.delivery(id);
    if (!row) return undefined;
    for (const claims of [this.#held, this.#cancelled]) {
      if (claims.get(row.seq) !== token) continue;
      claims.delete(row.seq);
      return { row, isLate: claims === this.#cancelled };
    }
    return undefined;
  }

  /** Whoever holds it may have an attempt under way. */
  cancel({ seq }: DeliveryRow): void {
    const token = this.#held.get(seq);
    this.#held.delete(seq);
    if (token !== undefined) this.#cancelled.set(seq, token);
  }
}
