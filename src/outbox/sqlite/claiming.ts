import type { DatabaseSync } from "node:sqlite";
import type { DeliveryCause } from "../../domain/delivery.ts";
import type { Instant } from "../../domain/instant.ts";
import type { JsonText } from "../../domain/json_text.ts";
import type { Turn } from "../../runtime/turn.ts";
import type { Claim, Claimed, ClaimRequest } from "../outbox.ts";
import { scopeFromText } from "./bytes.ts";
import type { Claims, Grant } from "./claims.ts";
import { isJson, unlessCorrupt } from "./damage.ts";
import { deliveryId } from "../ids.ts";
import type { NameTables } from "./insertion.ts";
import type { DueDelivery, NewlyPending } from "./newly_pending.ts";
import type { PendingCounts } from "./pending_counts.ts";
import type { RollingUp } from "./rolling_up.ts";
import { prepareAll, type Statements } from "./statements.ts";

interface Parts {
  readonly names: NameTables;
  readonly claims: Claims;
  readonly newlyPending: NewlyPending;
  readonly pending: PendingCounts;
  readonly rollingUp: RollingUp;
}

/** What could be claimed, and what is to be ended instead. */
export interface Found extends Claimed {
  /** Of the damaged ones, all claimed so that nobody else asks for them, those that can be ended. */
  readonly setAside?: readonly Grant[];
}

/** Hands out the right to attempt deliveries. It only reads: claims are kept in memory. */
export class Claiming {
  readonly #sql: Statements<keyof typeof CLAIMING_SQL>;
  readonly #names: NameTables;
  readonly #claims: Claims;
  readonly #newlyPending: NewlyPending;
  readonly #pending: PendingCounts;
  readonly #rollingUp: RollingUp;
  readonly #wholeFormats = new Set<number>();

  constructor(db: DatabaseSync, { names, claims, newlyPending, pending, rollingUp }: Parts) {
    this.#sql = prepareAll(db, CLAIMING_SQL);
    // An object of so many names takes longer to make than the rest of reading such a row.
    this.#sql.claimed.setReturnArrays(true);
    this.#names = names;
    this.#claims = claims;
    this.#newlyPending = newlyPending;
    this.#pending = pending;
    this.#rollingUp = rollingUp;
  }

  /** Claims what is pending, due and unclaimed, oldest due first. */
  claim({ subscription, now, limit, testsOnly = false }: ClaimRequest): Found {
    const id = this.#names.subscriptions.find(subscription);
    if (id === undefined) return { claims: [] };
    // So many that even where all claimed ones come first, enough of the others follow.
    const enough = limit + this.#claims.count(id) + 1;
    const statement = testsOnly ? this.#sql.dueTests : this.#sql.due;
    const rows = statement.all(id, enough) as unknown as DueDelivery[];
    const listed = rows.filter(({ seq }) => !this.#claims.isClaimed(id, seq));
    const added = this.#newlyPending.of(id).filter(({ isTest }) => isTest || !testsOnly);
    const free = [...listed, ...added].sort(soonestFirst);
    const taken = free.slice(0, limit).filter(({ dueAt }) => dueAt <= now);
    const claims = this.#load(taken, id, subscription);
    const next = free[taken.length];
    return {
      claims,
      ...(next && { nextDueAt: next.dueAt }),
      ...(claims.length < taken.length && {
        damaged: taken.length - claims.length,
        setAside: this.#setAside(taken, id),
      }),
    };
  }

  /** Claims those of due rows that could not be loaded, and answers those that can be ended. */
  #setAside(rows: readonly DueDelivery[], subscription: number): Grant[] {
    const left = rows.filter(({ seq }) => !this.#claims.isClaimed(subscription, seq));
    const damaged = left.map(({ seq }) => ({ subscription, seq, token: this.#claims.nextToken() }));
    for (const grant of damaged) {
      this.#claims.grant(grant);
      this.#newlyPending.remove(subscription, grant.seq);
    }
    // One whose own row can't be read any more stays set aside, and spoils no other.
    return damaged.filter(({ seq }) =>
      unlessCorrupt(() => this.#sql.ownRow.get(seq)) !== undefined
    );
  }

  /** What was set aside and could not be ended is to be found again. */
  giveBackDamaged(damaged: readonly Grant[]): void {
    for (const grant of damaged) {
      if (!this.#claims.holds(grant)) continue;
      const { subscription, seq } = grant;
      this.#claims.end(subscription, seq);
      const added = this.#sql.newlyPending.get(seq) as unknown as NewlyPendingRow | undefined;
      if (added) this.#newlyPending.add(subscription, { ...added, isTest: added.isTest === 1 });
    }
  }

  /** Gives claims back; those that are not held any more are left alone. */
  release(claims: readonly Claim[]): void {
    for (const claim of claims) {
      const grant = this.#claims.grantOf(claim);
      if (!grant) continue;
      if (this.#claims.holds(grant)) this.#giveBack(grant, claim.delivery);
      else this.#claims.forget(grant);
    }
  }

  #giveBack({ subscription, seq }: Grant, { attemptCount, createdAt, cause }: Claim["delivery"]) {
    this.#claims.end(subscription, seq);
    if (this.#rollingUp.hasRow(seq, attemptCount)) return;
    this.#newlyPending.add(subscription, { seq, dueAt: createdAt, isTest: cause === "test" });
  }

  async nextDue(turn: Turn): Promise<Map<string, Instant>> {
    const next = new Map<string, Instant>();
    for (const [id, count] of this.#pending.all()) {
      const dueAt = this.#nextDueOf(id, count);
      if (dueAt < Infinity) next.set(this.#names.subscriptions.name(id), dueAt);
      if (turn.isOver) await turn.rest();
    }
    return next;
  }

  /** Infinity where nothing is pending that nobody has claimed. */
  #nextDueOf(id: number, pending: number): Instant {
    const claimed = this.#claims.count(id);
    if (claimed >= pending) return Infinity;
    const rows = this.#sql.due.all(id, claimed + 1) as unknown as DueDelivery[];
    const first = rows.find(({ seq }) => !this.#claims.isClaimed(id, seq));
    const added = this.#newlyPending.of(id).map(({ dueAt }) => dueAt);
    return Math.min(first?.dueAt ?? Infinity, ...added);
  }

  #load(rows: readonly DueDelivery[], subscription: number, name: string): Claim[] {
    const loaded = this.#readClaimed(rows).filter((row) => this.#isWhole(row));
    const claims = loaded.map(([
      seq,
      eventId,
      type,
      occurredAt,
      scope,
      metadata,
      data,
      trace,
      format,
      cause,
      attemptCount,
      createdAt,
      redeliveryOf,
      firstAttemptAt,
      sentAs,
    ]) => {
      const token = this.#claims.nextToken();
      return {
        delivery: {
          id: deliveryId({ createdAt, seq }),
          subscription: name,
          cause,
          attemptCount,
          createdAt,
          ...(redeliveryOf === null ? {} : { redeliveryOf }),
        },
        event: {
          id: eventId,
          type: this.#names.types.name(type),
          occurredAt,
          scope: scopeFromText(scope),
          data,
          ...(metadata === null ? {} : { metadata }),
          ...(trace === null ? {} : { trace }),
          ...(sentAs === null ? {} : { sentAs }),
        },
        format: this.#names.formats.name(format),
        ...(firstAttemptAt === null ? {} : { firstAttemptAt }),
        token,
      };
    });
    // Granted once nothing can fail any more: nobody would give them back.
    for (const [index, [seq]] of loaded.entries()) {
      this.#claims.grant({ subscription, seq, token: claims[index]!.token });
      this.#newlyPending.remove(subscription, seq);
    }
    return claims;
  }

  /** All of them in one statement; one by one where that comes upon a damaged page. */
  #readClaimed(rows: readonly DueDelivery[]): ClaimedRow[] {
    const read = (seqs: readonly number[]) =>
      this.#sql.claimed.all(JSON.stringify(seqs)) as unknown as ClaimedRow[];
    return unlessCorrupt(() => read(rows.map(({ seq }) => seq))) ??
      rows.flatMap(({ seq }) => unlessCorrupt(() => read([seq])) ?? []);
  }

  /** Whether it is as it was stored, as far as that can be told: it would be sent as it is. */
  #isWhole(row: ClaimedRow): boolean {
    const type = row[2], scope = row[4], metadata = row[5], data = row[6], format = row[8];
    // SQLite's answer is no as well where JSON is nested too deep for it.
    const isWhole = row[15] === 1 ||
      [data, scope, metadata].every((text) => text === null || isJson(text));
    return isWhole && unlessCorrupt(() => this.#names.types.has(type)) === true &&
      unlessCorrupt(() => this.#names.formats.has(format)) === true &&
      this.#isWholeFormat(format);
  }

  #isWholeFormat(format: number): boolean {
    if (this.#wholeFormats.has(format)) return true;
    const isWhole = isJson(this.#names.formats.name(format));
    if (isWhole && this.#wholeFormats.size < MOST_WHOLE_FORMATS) this.#wholeFormats.add(format);
    return isWhole;
  }
}

/** Their texts were read once and found to be JSON; that is remembered of so many. */
const MOST_WHOLE_FORMATS = 20_000;

function soonestFirst(a: DueDelivery, b: DueDelivery): number {
  return a.dueAt - b.dueAt || a.seq - b.seq;
}

interface NewlyPendingRow {
  readonly seq: number;
  readonly dueAt: Instant;
  readonly isTest: number;
}

/** The columns of `claimed`, in their order. */
type ClaimedRow = readonly [
  seq: number,
  eventId: string,
  type: number,
  occurredAt: Instant,
  scope: JsonText | null,
  metadata: JsonText | null,
  data: JsonText,
  trace: string | null,
  format: number,
  cause: DeliveryCause,
  attemptCount: number,
  createdAt: Instant,
  redeliveryOf: string | null,
  firstAttemptAt: Instant | null,
  sentAs: string | null,
  isWhole: number,
];

/** The statements by name; the tests ask SQLite how it would run each. */
export const CLAIMING_SQL = {
  due: `
    select delivery as seq, due_at as dueAt from pending indexed by pending_due
    where subscription = ? order by due_at, delivery limit ?`,

  dueTests: `
    select delivery as seq, due_at as dueAt from pending indexed by pending_due_tests
    where subscription = ? and is_test = 1 order by due_at, delivery limit ?`,

  newlyPending: `
    select delivery as seq, due_at as dueAt, is_test as isTest
    from newly_pending where delivery = ?`,

  ownRow: "select * from deliveries_now where seq = ?",

  // One statement for all: one for each takes twice as long. They come in the order of the list, which
  // is what a cross join is for. Ids and JSON are read as texts, for they hold no NUL that would end
  // one, and bytes take longer to come over. The first attempt is looked for where there has been one:
  // most deliveries have only one, and it comes now.
  claimed: `
    select d.seq, cast(e.id as text), e.type, e.occurred_at, cast(e.scope as text),
      cast(e.metadata as text), cast(e.data as text), e.trace,
      d.format, d.cause, coalesce(p.attempt_count, 0), d.created_at, d.redelivery_of,
      case when p.attempt_count > 0 then (
        select started_at from attempts where delivery = d.seq and number = 1
      ) end, cast(e.sent_as as text),
      json_valid(cast(e.data as text))
        and (e.scope is null or json_valid(cast(e.scope as text)))
        and (e.metadata is null or json_valid(cast(e.metadata as text)))
    from json_each(?) j cross join deliveries d on d.seq = j.value
      cross join events e on e.seq = d.event
      left join pending p on p.delivery = d.seq`,
} as const;
