import { assert, assertEquals, assertMatch, assertNotEquals, assertRejects } from "@std/assert";
import { answerTimeBucket } from "../../src/domain/answer_time.ts";
import type { Attempt } from "../../src/domain/attempt.ts";
import { type Delivery, failedForGood } from "../../src/domain/delivery.ts";
import type { LastResult } from "../../src/domain/attempt.ts";
import { type Health, healthAfter, UNTRIED } from "../../src/domain/health.ts";
import { GONE } from "../../src/domain/verdict.ts";
import type {
  Claim,
  HistoryEntry,
  Outbox,
  PruneRequest,
  Recording,
  Replay,
} from "../../src/outbox/outbox.ts";
import type { Change, Counts, OutboxReader, Tally } from "../../src/outbox/reader.ts";
import { InvalidCursorError, OutboxFailed, OutboxUnavailable } from "../../src/outbox/errors.ts";
import { fc } from "../support/properties.ts";
import { totalsOf } from "./totals.ts";
import {
  accepted,
  aDelivery,
  aHash,
  anAttempt,
  anEvent,
  aNewEvent,
  answered,
  delivered,
  exhausted,
  NOON,
  toRetry,
} from "./building.ts";

/** An empty outbox, and its reading side. */
export interface Opened {
  readonly outbox: Outbox;
  readonly reader: OutboxReader;
  /** Takes away what it leaves behind, once closed. */
  forget?(): Promise<void>;
}

/** What every implementation of the outbox does. */
export function outboxContract(name: string, open: () => Promise<Opened>): void {
  function story(what: string, tell: (opened: Opened) => Promise<void>): void {
    Deno.test(`${name}: ${what}`, async () => {
      const opened = await open();
      try {
        await tell(opened);
        assertEquals((await opened.reader.audit()).faults, []);
      } finally {
        await opened.outbox.close();
        await opened.forget?.();
      }
    });
  }

  story("enqueue() keeps an event exactly as it was written", async ({ outbox, reader }) => {
    const event = anEvent({
      id: "own id\u0000with a NUL and ü",
      type: "booking\u0000created",
      scope: new Map([["venue_id", "9007199254740993"], ["na\u0000me", '"x"']]),
      data: '{"b":1e3,"a":1.10,"text":"\u0001ü\\u0000"}',
      metadata: "[9007199254740993]",
    });
    await outbox.enqueue({ events: [aNewEvent({ event, publisher: "pms" })], at: NOON + 5 });
    assertEquals(await reader.event(event.id), {
      ...event,
      publisher: "pms",
      acceptedAt: NOON + 5,
    });
  });

  story("enqueue() answers receipts in order and the subscriptions left to claim", async ({
    outbox,
    reader,
  }) => {
    const deliveries = [aDelivery({ subscription: "a" }), aDelivery({ subscription: "b" })];
    const answer = accepted(
      await outbox.enqueue({ events: [aNewEvent({ deliveries }), aNewEvent()], at: NOON }),
    );
    assertEquals(answer.stored, 2);
    assertEquals(
      answer.receipts.map((receipt) => receipt.deliveries.map((d) => d.subscription)),
      [["a", "b"], ["crm"]],
    );
    assertEquals(answer.unclaimed, ["a", "b", "crm"]);
    const stored = await reader.delivery(answer.receipts[0]!.deliveries[1]!.id);
    assertEquals(stored?.subscription, "b");
    assertEquals(stored?.state, "pending");
    assertEquals(stored?.dueAt, NOON);
  });

  story("enqueue() answers the receipt of a test as of any other", async ({ outbox }) => {
    const deliveries = [aDelivery({ cause: "test", claim: true })];
    const { receipts, claims } = accepted(
      await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON }),
    );
    assertEquals(receipts[0]!.deliveries, [{ id: claims[0]!.delivery.id, subscription: "crm" }]);
  });

  story("enqueue() hands over claimed what it is asked to, and nobody else gets it", async ({
    outbox,
  }) => {
    const event = anEvent();
    const deliveries = [aDelivery({ subscription: "a", claim: true }), aDelivery()];
    const { claims, receipts, unclaimed } = accepted(
      await outbox.enqueue({ events: [{ event, deliveries }], at: NOON }),
    );
    assertEquals(claims.map((claim) => [claim.delivery.id, claim.event, claim.format]), [
      [receipts[0]!.deliveries[0]!.id, event, '{"profile":"standard"}'],
    ]);
    assertEquals(unclaimed, ["crm"]);
    assertEquals(await outbox.claim({ subscription: "a", now: NOON, limit: 9 }), { claims: [] });
  });

  story("enqueue() keeps the ids of publishers apart", async ({ outbox, reader }) => {
    const post = async (publisher: string | undefined, of: number) =>
      await outbox.enqueue({
        events: [aNewEvent({
          event: anEvent({ id: "bk_1", data: String(of) }),
          ...(publisher === undefined ? {} : { publisher }),
          contentHash: aHash(of),
          spareId: () => `spare_${of}`,
          deliveries: [aDelivery({ claim: true })],
        })],
        at: NOON + of,
      });
    const first = accepted(await post("a", 1)), second = accepted(await post("b", 2));
    const third = accepted(await post(undefined, 3));
    assertEquals([first.stored, second.stored, third.stored], [1, 1, 1]);
    assertEquals(
      [first, second, third].map(({ claims }) => claims[0]!.event.sentAs),
      [undefined, "spare_2", "spare_3"],
    );
    for (const [publisher, of, { receipts }] of [["a", 1, first], ["b", 2, second]] as const) {
      const repeat = accepted(await post(publisher, of));
      assertEquals([repeat.stored, repeat.receipts], [0, receipts]);
    }
    assertEquals((await post("b", 1)).kind, "idConflict");
    assertEquals((await post(undefined, 1)).kind, "idConflict");

    const found = await reader.event("bk_1");
    assertEquals([found?.publisher, found?.data], ["a", "1"]);
    assertEquals(found?.sameId, [{ publisher: "b", sentAs: "spare_2" }, { sentAs: "spare_3" }]);
    assertEquals((await reader.event("spare_2"))?.publisher, "b");
    assertEquals((await reader.event("bk_1", "b"))?.sentAs, "spare_2");
    assertEquals((await reader.event("bk_1", ""))?.data, "3");
    assertEquals(await reader.event("bk_1", "c"), undefined);
    const ofB = await reader.deliveriesOf("bk_1", "b");
    assertEquals(ofB.map(({ id }) => id), [second.receipts[0]!.deliveries[0]!.id]);
    assertEquals([ofB[0]?.eventId, ofB[0]?.eventSentAs], ["bk_1", "spare_2"]);
    const ids = async (eventId: string) =>
      (await reader.deliveries({ eventId, limit: 10 })).items.map(({ id }) => id);
    assertEquals((await ids("bk_1")).length, 3);
    assertEquals(await ids("spare_2"), [second.receipts[0]!.deliveries[0]!.id]);
  });

  story("enqueue() keeps a CloudEvent's id apart by its source", async ({ outbox, reader }) => {
    const event = anEvent({ id: "1" });
    const from = (source: string | undefined, of: number) =>
      aNewEvent({
        event,
        publisher: "a",
        ...(source === undefined ? {} : { source }),
        contentHash: aHash(of),
        spareId: () => `spare_${of}`,
      });
    const idempotency = { key: aHash(8), content: aHash(9) };
    const request = {
      events: [from("/x", 1), from("/y", 2), from("/x", 1), from(undefined, 3)],
      idempotency,
      at: NOON,
    };
    const stored = accepted(await outbox.enqueue(request));
    const [x, y, again, plain] = stored.receipts;
    assertEquals([stored.stored, again], [3, x]);
    assertEquals(accepted(await outbox.enqueue(request)).receipts, stored.receipts);
    assertEquals(
      accepted(await outbox.enqueue({ events: [from("/y", 2), from(undefined, 3)], at: NOON }))
        .receipts,
      [y!, plain!],
    );
    for (const [source, of] of [["/x", 2], ["/y", 1], [undefined, 1]] as const) {
      const refused = await outbox.enqueue({ events: [from(source, of)], at: NOON });
      assertEquals(refused.kind, "idConflict", source);
    }
    assertEquals((await reader.event("1"))?.sameId, [
      { publisher: "a", source: "/y", sentAs: "spare_2" },
      { publisher: "a", sentAs: "spare_3" },
    ]);
  });

  story(
    "enqueue() gives receivers another id where a header would spell two alike",
    async ({ outbox }) => {
      const post = async (id: string, headerId?: string) => {
        const { claims } = accepted(
          await outbox.enqueue({
            events: [aNewEvent({
              event: anEvent({ id }),
              publisher: id,
              contentHash: aHash(1),
              spareId: () => "spare",
              ...(headerId === undefined ? {} : { headerId }),
              deliveries: [aDelivery({ claim: true })],
            })],
            at: NOON,
          }),
        );
        return claims[0]!.event.sentAs;
      };
      assertEquals(await post("evt_hash"), undefined);
      assertEquals(await post("a.b", "evt_hash"), "spare");
    },
  );

  story("a claim that is read back has the id that receivers get", async ({ outbox }) => {
    const post = (publisher: string) =>
      outbox.enqueue({
        events: [aNewEvent({
          event: anEvent({ id: "bk_1" }),
          publisher,
          contentHash: aHash(1),
          spareId: () => `spare_of_${publisher}`,
        })],
        at: NOON,
      });
    await post("a");
    await post("b");
    const { claims } = await outbox.claim({ subscription: "crm", now: NOON, limit: 9 });
    assertEquals(claims.map(({ event }) => event.sentAs), [undefined, "spare_of_b"]);
    await outbox.record(exhausted(claims[1]!, NOON + 1));
    const again = await outbox.redeliver(claims[1]!.delivery.id, NOON + 2);
    assertEquals([again?.eventId, again?.eventSentAs], ["bk_1", "spare_of_b"]);
    const { claims: [sentAgain] } = await outbox.claim({
      subscription: "crm",
      now: NOON + 2,
      limit: 9,
    });
    assertEquals(sentAgain?.event.sentAs, "spare_of_b");
  });

  story("enqueue() answers a known id with the first receipt", async ({ outbox, reader }) => {
    const incoming = aNewEvent({ contentHash: aHash(1) });
    const first = accepted(await outbox.enqueue({ events: [incoming], at: NOON }));
    const again = accepted(await outbox.enqueue({ events: [incoming], at: NOON + 9 }));
    assertEquals(again, { ...first, stored: 0, claims: [], unclaimed: [] });
    assertEquals((await reader.audit()).events, 1);
  });

  story("enqueue() leaves redeliveries out of a repeated receipt", async ({ outbox }) => {
    const deliveries = [aDelivery({ claim: true })];
    const incoming = aNewEvent({ contentHash: aHash(1), deliveries });
    const first = accepted(await outbox.enqueue({ events: [incoming], at: NOON }));
    await outbox.record(delivered(first.claims[0]!, NOON));
    await outbox.redeliver(first.claims[0]!.delivery.id, NOON);
    const again = accepted(await outbox.enqueue({ events: [incoming], at: NOON + 9 }));
    assertEquals(again.receipts, first.receipts);
  });

  story("enqueue() stores an id once that a request holds twice", async ({ outbox }) => {
    const incoming = aNewEvent({ contentHash: aHash(1) });
    const answer = accepted(await outbox.enqueue({ events: [incoming, incoming], at: NOON }));
    assertEquals(answer.stored, 1);
    assertEquals(answer.receipts[0], answer.receipts[1]!);
  });

  story(
    "enqueue() stores nothing of a request with a conflicting id",
    async ({ outbox, reader }) => {
      const event = anEvent();
      await outbox.enqueue({ events: [aNewEvent({ event, contentHash: aHash(1) })], at: NOON });
      const answer = await outbox.enqueue({
        events: [aNewEvent(), aNewEvent({ event, contentHash: aHash(2) })],
        at: NOON,
      });
      assertEquals(answer, { kind: "idConflict", index: 1, id: event.id });
      assertEquals((await reader.audit()).events, 1);
    },
  );

  story("enqueue() refuses one id with two contents in a request", async ({ outbox, reader }) => {
    const event = anEvent();
    const answer = await outbox.enqueue({
      events: [1, 2].map((of) => aNewEvent({ event, contentHash: aHash(of) })),
      at: NOON,
    });
    assertEquals(answer.kind, "idConflict");
    assertEquals((await reader.audit()).events, 0);
  });

  story("enqueue() answers a known key with the first receipts", async ({ outbox }) => {
    const idempotency = { key: aHash(7), content: aHash(1) };
    const request = { events: [aNewEvent(), aNewEvent()], idempotency, at: NOON };
    const first = accepted(await outbox.enqueue(request));
    // The daemon makes up new ids for a repeat, before it knows that it is one.
    const repeat = { ...request, events: [aNewEvent(), aNewEvent()] };
    const again = accepted(await outbox.enqueue(repeat));
    assertEquals(again, { ...first, stored: 0, unclaimed: [] });
    const other = { ...repeat, idempotency: { key: aHash(7), content: aHash(2) } };
    assertEquals(await outbox.enqueue(other), { kind: "keyConflict" });
  });

  story("enqueue() keeps a conflict from spoiling what is asked at once", async ({ outbox }) => {
    const event = anEvent();
    const answers = await Promise.all([
      outbox.enqueue({ events: [aNewEvent({ event, contentHash: aHash(1) })], at: NOON }),
      outbox.enqueue({ events: [aNewEvent({ event, contentHash: aHash(2) })], at: NOON }),
      outbox.enqueue({ events: [aNewEvent({ event, contentHash: aHash(1) })], at: NOON }),
      outbox.enqueue({ events: [aNewEvent()], at: NOON }),
    ]);
    assertEquals(answers.map((a) => a.kind === "accepted" ? a.stored : a.kind), [
      1,
      "idConflict",
      0,
      1,
    ]);
  });

  story("enqueue() takes a thousand events at once", async ({ outbox, reader }) => {
    const events = Array.from({ length: 1_000 }, () => aNewEvent());
    const { receipts } = accepted(await outbox.enqueue({ events, at: NOON }));
    assertEquals(new Set(receipts.map(({ deliveries }) => deliveries[0]!.id)).size, 1_000);
    assertEquals((await reader.pending()).get("crm"), 1_000);
  });

  story("claim() gives what is due, oldest due first, and says when the next is", async ({
    outbox,
  }) => {
    for (const at of [NOON + 30, NOON + 10, NOON + 20]) {
      await outbox.enqueue({ events: [aNewEvent()], at });
    }
    const early = await outbox.claim({ subscription: "crm", now: NOON, limit: 5 });
    assertEquals(early, { claims: [], nextDueAt: NOON + 10 });
    const one = await outbox.claim({ subscription: "crm", now: NOON + 25, limit: 1 });
    assertEquals(one.claims.map(createdAt), [NOON + 10]);
    assertEquals(one.nextDueAt, NOON + 20);
    const rest = await outbox.claim({ subscription: "crm", now: NOON + 25, limit: 5 });
    assertEquals(rest.claims.map(createdAt), [NOON + 20]);
    assertEquals(rest.nextDueAt, NOON + 30);
    assertEquals(await outbox.claim({ subscription: "nobody", now: NOON, limit: 5 }), {
      claims: [],
    });
  });

  story("claim() finds one subscription's among the backlog of another", async ({ outbox }) => {
    const noisy = Array.from({ length: 600 }, () => aNewEvent());
    await outbox.enqueue({ events: noisy, at: NOON });
    const deliveries = [aDelivery({ subscription: "quiet" })];
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON + 1 });
    const { claims } = await outbox.claim({ subscription: "quiet", now: NOON + 1, limit: 10 });
    assertEquals(claims.length, 1);
  });

  story("claim() takes tests alone where it is asked to", async ({ outbox }) => {
    await outbox.enqueue({ events: [aNewEvent()], at: NOON });
    const deliveries = [aDelivery({ cause: "test" })];
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON + 1 });
    const request = { subscription: "crm", now: NOON + 1, limit: 5, testsOnly: true };
    const { claims, nextDueAt } = await outbox.claim(request);
    assertEquals(claims.map(({ delivery }) => delivery.cause), ["test"]);
    assertEquals(nextDueAt, undefined);
  });

  story("release() makes a claimed delivery due as before, and ends the claim", async ({
    outbox,
  }) => {
    const claim = await aClaim(outbox);
    await outbox.release([claim]);
    const [again] = (await outbox.claim({ subscription: "crm", now: NOON, limit: 1 })).claims;
    assertEquals(again!.delivery, claim.delivery);
    assertNotEquals(again!.token, claim.token);
    assertEquals(await outbox.record(delivered(claim, NOON)), false);
    // Giving back what one no longer has takes it from nobody.
    await outbox.release([claim]);
    assertEquals(await outbox.record(delivered(again!, NOON)), true);
  });

  story("release() of a second attempt makes it due once", async ({ outbox }) => {
    await outbox.record(toRetry(await aClaim(outbox), { at: NOON, dueAt: NOON + 60 }));
    const claim = () => outbox.claim({ subscription: "crm", now: NOON + 60, limit: 9 });
    const { claims } = await claim();
    await outbox.release(claims);
    assertEquals((await claim()).claims.length, 1);
  });

  story("record() keeps an attempt, its answer to the last byte, and ends the delivery", async ({
    outbox,
    reader,
  }) => {
    const claim = await aClaim(outbox);
    const attempt: Attempt = anAttempt({
      outcome: {
        kind: "answered",
        status: 204,
        headers: [["X-Odd", "a\u0000b"], ["x-odd", "ü"]],
        body: new Uint8Array(65_536).map((_, i) => i),
        truncated: true,
        remoteAddress: "203.0.113.7",
      },
    });
    assert(await outbox.record({ claim, attempt, verdict: { kind: "delivered" }, at: NOON + 50 }));
    assertEquals(await reader.attempts(claim.delivery.id), [attempt]);
    const stored = await reader.delivery(claim.delivery.id);
    assertEquals([stored?.state, stored?.finishedAt, stored?.attemptCount, stored?.dueAt], [
      "delivered",
      NOON + 50,
      1,
      undefined,
    ]);
  });

  story("record() keeps why no answer came", async ({ outbox, reader }) => {
    const claim = await aClaim(outbox);
    await outbox.record(exhausted(claim, NOON + 50));
    const [attempt] = await reader.attempts(claim.delivery.id);
    assertEquals(attempt!.outcome, {
      kind: "failed",
      error: { kind: "timeout", message: "no answer within 30s" },
    });
    const stored = await reader.delivery(claim.delivery.id);
    assertEquals([stored?.state, stored?.reason], ["exhausted", "the last attempt failed"]);
  });

  story(
    "record() of a retry gives the delivery back for its later due time",
    async ({ outbox }) => {
      const claim = await aClaim(outbox);
      const dueAt = NOON + 60_000;
      assert(await outbox.record(toRetry(claim, { at: NOON + 20, dueAt })));
      const early = await outbox.claim({ subscription: "crm", now: dueAt - 1, limit: 1 });
      assertEquals(early, { claims: [], nextDueAt: dueAt });
      const [second] = (await outbox.claim({ subscription: "crm", now: dueAt, limit: 1 })).claims;
      assertEquals(second!.delivery.attemptCount, 1);
      assertEquals(second!.firstAttemptAt, NOON + 8);
    },
  );

  story("record() changes nothing when the claim has passed to another", async ({
    outbox,
    reader,
  }) => {
    const late = await aClaim(outbox);
    await outbox.release([late]);
    await outbox.claim({ subscription: "crm", now: NOON, limit: 1 });
    const health = { consecutiveFailures: 3 };
    const recorded = await outbox.record({
      ...delivered(late, NOON),
      health,
      healthNotices: [aNotice()],
    });
    assertEquals(recorded, false);
    assertEquals((await reader.health()).size, 0);
    assertEquals((await reader.audit()).events, 1);
    assertEquals((await reader.attempts(late.delivery.id)).length, 0);
  });

  story("record() takes one of two records of the same claim", async ({ outbox }) => {
    const claim = await aClaim(outbox);
    const recording = toRetry(claim, { at: NOON + 20, dueAt: NOON + 60 });
    const answers = await Promise.all([outbox.record(recording), outbox.record(recording)]);
    assertEquals(answers, [true, false]);
  });

  story("record() stores health and notices along, the last health of many", async ({
    outbox,
    reader,
  }) => {
    const [first, second] = [await aClaim(outbox), await aClaim(outbox)];
    const health = {
      failingSince: NOON,
      pausedAt: NOON,
      pausedReason: "by ü",
      lastSuccessAt: NOON - 1,
      consecutiveFailures: 6,
      changedAt: NOON,
    };
    await Promise.all([
      outbox.record({ ...exhausted(first, NOON + 20), health: { consecutiveFailures: 5 } }),
      outbox.record({
        ...exhausted(second, NOON + 20),
        health,
        healthNotices: [aNotice("subscription.failing")],
      }),
    ]);
    assertEquals(await reader.health(), new Map([["crm", health]]));
    const { claims } = await outbox.claim({ subscription: "!operator", now: NOON + 20, limit: 9 });
    assertEquals(claims.map(({ event }) => event.type), ["subscription.failing"]);
  });

  story("cancel() ends a claimed delivery for good", async ({ outbox, reader }) => {
    const claim = await aClaim(outbox);
    const { id } = claim.delivery;
    assertEquals(await outbox.cancel([id, id, "dlv_none"], "wrong customer", NOON + 1), 1);
    const stored = await reader.delivery(id);
    assertEquals([stored?.state, stored?.reason, stored?.attemptCount], [
      "cancelled",
      "wrong customer",
      0,
    ]);
    assertEquals(await reader.pending(), new Map());
  });

  story("cancel() ends ten thousand with one call", async ({ outbox, reader }) => {
    const ids: string[] = [];
    for (let i = 0; i < 10; i++) {
      const events = Array.from({ length: 1_000 }, () => aNewEvent());
      const { receipts } = accepted(await outbox.enqueue({ events, at: NOON }));
      ids.push(...receipts.map(({ deliveries }) => deliveries[0]!.id));
    }
    assertEquals(await outbox.cancel(ids, "wrong customer", NOON + 1), 10_000);
    assertEquals(await outbox.cancel(ids, "wrong customer", NOON + 2), 0);
    assertEquals(await outbox.cancel([], "nothing", NOON + 2), 0);
    assertEquals((await reader.counts(["crm"])).get("crm"), { ...NONE, cancelled: 10_000 });
  });

  for (const sameCommit of [false, true]) {
    const when = sameCommit ? "in the same commit" : "before";
    story(
      `record() keeps the attempt under way of a delivery cancelled ${when}, and what it says of its subscription`,
      async ({
        outbox,
        reader,
      }) => {
        const claim = await aClaim(outbox);
        const { id } = claim.delivery;
        const cancelled = outbox.cancel([id], "wrong customer", NOON + 1);
        if (!sameCommit) await cancelled;
        const recording = {
          ...delivered(claim, NOON + 20),
          health: { consecutiveFailures: 0, lastSuccessAt: NOON + 20 },
          healthNotices: [aNotice("subscription.recovered")],
          history: [anEntry()],
        };
        assertEquals(await outbox.record(recording), false);
        assertEquals(await outbox.record(recording), false);
        assertEquals(await reader.attempts(id), [recording.attempt]);
        const stored = await reader.delivery(id);
        assertEquals([stored?.state, stored?.reason, stored?.finishedAt, stored?.attemptCount], [
          "cancelled",
          "wrong customer",
          NOON + 1,
          1,
        ]);
        assertEquals(await reader.health(), new Map([["crm", recording.health]]));
        assertEquals((await reader.history({ limit: 9 })).items.length, 1);
        const { items } = await reader.events({ limit: 9 });
        assertEquals(items.map(({ type }) => type), ["subscription.recovered", "booking.created"]);
      },
    );
  }

  story("record() keeps nothing of a claim that was lost before the cancel", async ({
    outbox,
    reader,
  }) => {
    const late = await aClaim(outbox);
    await outbox.release([late]);
    const [current] = (await outbox.claim({ subscription: "crm", now: NOON, limit: 1 })).claims;
    await outbox.cancel([late.delivery.id], "enough", NOON + 1);
    assertEquals(await outbox.record(delivered(late, NOON + 20)), false);
    assertEquals(await reader.attempts(late.delivery.id), []);
    // Given back unused, it has no attempt to tell of either.
    await outbox.release([current!]);
    assertEquals(await outbox.record(delivered(current!, NOON + 20)), false);
    assertEquals(await reader.attempts(late.delivery.id), []);
  });

  story("record() of a 410 ends the delivery once", async ({ outbox, reader }) => {
    const claim = await aClaim(outbox);
    const gone = {
      ...exhausted(claim, NOON + 20),
      verdict: { kind: "cancelled", reason: "the receiver answered 410 Gone" },
    } as const;
    const answers = await Promise.all([outbox.record(gone), outbox.record(gone)]);
    assertEquals(answers, [true, false]);
    assertEquals((await reader.delivery(claim.delivery.id))?.attemptCount, 1);
  });

  story("hasten() makes a waiting delivery due, and leaves finished ones alone", async ({
    outbox,
  }) => {
    const claim = await aClaim(outbox);
    const { id } = claim.delivery;
    assertEquals(await outbox.hasten(id, NOON), true);
    await outbox.record(toRetry(claim, { at: NOON + 20, dueAt: NOON + 60_000 }));
    assertEquals(await outbox.hasten(id, NOON + 100), true);
    const [again] = (await outbox.claim({ subscription: "crm", now: NOON + 100, limit: 1 })).claims;
    await outbox.record(delivered(again!, NOON + 200));
    assertEquals(await outbox.hasten(id, NOON + 300), false);
    assertEquals(await outbox.hasten("dlv_none", NOON + 300), false);
  });

  story("redeliver() sends a finished delivery again as a new one", async ({ outbox, reader }) => {
    const claim = await aClaim(outbox);
    const { id } = claim.delivery;
    assertEquals(await outbox.redeliver(id, NOON), undefined);
    await outbox.record(exhausted(claim, NOON + 20));
    const again = await outbox.redeliver(id, NOON + 30);
    assertEquals([again?.redeliveryOf, again?.cause, again?.eventId, again?.dueAt], [
      id,
      "redelivery",
      claim.event.id,
      NOON + 30,
    ]);
    const [next] = (await outbox.claim({ subscription: "crm", now: NOON + 30, limit: 9 })).claims;
    assertEquals(next!.delivery.redeliveryOf, id);
    assertEquals(next!.event, claim.event);
    assertEquals(next!.format, claim.format);
    const all = await reader.deliveriesOf(claim.event.id);
    assertEquals(all.map((delivery) => delivery.state), ["exhausted", "pending"]);
    assertEquals(all[1], again!);
  });

  story("an id whose time is not its row's names no delivery", async ({ outbox, reader }) => {
    const { id } = (await aClaim(outbox)).delivery;
    const forged = id.slice(0, 4) + "00000000AA" + id.slice(14);
    assertEquals(await reader.delivery(forged), undefined);
    assertEquals(await outbox.cancel([forged], "no", NOON), 0);
    assertEquals(await outbox.hasten(forged, NOON), false);
  });

  story(
    "shiftDue() moves what is due later, and nothing that is due",
    async ({ outbox, reader }) => {
      for (const at of [NOON, NOON + 10]) await outbox.enqueue({ events: [aNewEvent()], at });
      await outbox.shiftDue(NOON, 5_000);
      const { items } = await reader.deliveries({ limit: 9 });
      assertEquals(items.map(({ dueAt }) => dueAt), [NOON + 5_010, NOON]);
    },
  );

  story(
    "shiftDue() backwards moves what is due along: it stays due",
    async ({ outbox, reader }) => {
      for (const at of [NOON, NOON + 10]) await outbox.enqueue({ events: [aNewEvent()], at });
      await outbox.shiftDue(NOON, -5_000);
      const { items } = await reader.deliveries({ limit: 9 });
      assertEquals(items.map(({ dueAt }) => dueAt), [NOON - 4_990, NOON - 5_000]);
    },
  );

  story("nextDue() tells of each subscription with something unclaimed", async ({ outbox }) => {
    await aClaim(outbox);
    const deliveries = [aDelivery({ subscription: "a" }), aDelivery({ subscription: "b" })];
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON + 5 });
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON + 9 });
    await outbox.claim({ subscription: "b", now: NOON + 5, limit: 1 });
    assertEquals(await outbox.nextDue(), new Map([["a", NOON + 5], ["b", NOON + 9]]));
  });

  story(
    "keepTime() is kept until the next, or until shiftDue() brings another",
    async ({ outbox }) => {
      assertEquals(await outbox.timeMark(), undefined);
      const boot = { id: "b-1", at: NOON + 0.5, leastMs: 7.25, mostMs: 17 };
      await outbox.keepTime({ reachedAt: NOON, boot });
      assertEquals(await outbox.timeMark(), { reachedAt: NOON, boot });
      await outbox.shiftDue(NOON, 500);
      assertEquals(await outbox.timeMark(), { reachedAt: NOON, boot });
      await outbox.shiftDue(NOON, 500, { reachedAt: NOON + 500 });
      assertEquals(await outbox.timeMark(), { reachedAt: NOON + 500 });
    },
  );

  story(
    "noteStart() is kept for as long as its rate limit counts it, and moves with due times",
    async ({
      outbox,
    }) => {
      for (const at of [NOON, NOON + 500, NOON + 500, NOON + 60_400]) {
        await outbox.noteStart({ subscription: "crm", at, perMs: 60_000 });
      }
      await outbox.noteStart({ subscription: "slow", at: NOON, perMs: 3_600_000 });
      const starts = { crm: [NOON + 500, NOON + 500, NOON + 60_400], slow: [NOON] };
      assertEquals(await outbox.starts(), new Map(Object.entries(starts)));
      await outbox.shiftDue(NOON, -500);
      assertEquals((await outbox.starts()).get("slow"), [NOON - 500]);
    },
  );

  story("a delivery says what its last attempt came to, in lists and by itself", async ({
    outbox,
    reader,
  }) => {
    const untried = await aClaim(outbox);
    const retried = await aClaim(outbox);
    await outbox.record(toRetry(retried, { at: NOON + 20, dueAt: NOON + 60 }));
    const [again] = (await outbox.claim({ subscription: "crm", now: NOON + 60, limit: 9 })).claims;
    await outbox.record(exhausted(again!, NOON + 80));
    const taken = await aClaim(outbox);
    await outbox.record(delivered(taken, NOON + 90));
    const error = { kind: "timeout", message: "no answer within 30s" } as const;
    const results = new Map<string, LastResult | undefined>([
      [untried.delivery.id, undefined],
      [retried.delivery.id, { at: NOON + 80, error }],
      [taken.delivery.id, { at: NOON + 90, status: 200 }],
    ]);
    const { items } = await reader.deliveries({ limit: 9 });
    assertEquals(new Map(items.map(({ id, lastResult }) => [id, lastResult])), results);
    for (const [id, result] of results) {
      assertEquals((await reader.delivery(id))?.lastResult, result);
    }
  });

  story("health tells the last result, whether or not its attempt is rolled up", async ({
    outbox,
    reader,
  }) => {
    let health: Health = UNTRIED;
    const told = async (end: (claim: Claim, at: number) => Recording, at: number) => {
      const recording = end(await aClaim(outbox), at);
      const { outcome, result } = recording.attempt;
      const facts = { succeeded: result === "success", outcome, at };
      ({ health } = healthAfter(health, recording.verdict, facts));
      await outbox.record({ ...recording, health });
      const stored = (await reader.health()).get("crm");
      assertEquals(stored, health);
      return stored?.lastResult;
    };
    const error = { kind: "timeout", message: "no answer within 30s" } as const;
    assertEquals(await told(exhausted, NOON + 20), { at: NOON + 20, error });
    assertEquals(await told(delivered, NOON + 30), { at: NOON + 30, status: 200 });
    assertEquals(await told(delivered, NOON + 40), { at: NOON + 40, status: 200 });
    // In the same millisecond: what fails after a success is the last.
    assertEquals(await told(exhausted, NOON + 40), { at: NOON + 40, error });
    assertEquals(health.failuresSince, NOON + 40);
  });

  story("pause() and resume() change what is stored of a subscription, once", async ({
    outbox,
    reader,
  }) => {
    const failing = { consecutiveFailures: 6, failingSince: NOON, lastSuccessAt: NOON - 9 };
    await outbox.record({ ...exhausted(await aClaim(outbox), NOON + 20), health: failing });
    const entry = anEntry({ kind: "paused", subscription: "crm", by: "ann" });
    const pausing = { ...{ subscription: "crm", at: NOON + 30, reason: "by ü", entry } };
    const notices = [aNotice("subscription.paused")];
    // In one commit.
    const answers = await Promise.all([
      outbox.pause({ ...pausing, notices }),
      outbox.pause({ ...pausing, notices }),
    ]);
    assertEquals(answers, [true, false]);
    const paused = { pausedAt: NOON + 30, pausedReason: "by ü", changedAt: NOON + 30 };
    assertEquals((await reader.health()).get("crm"), { ...failing, ...paused });
    const { claims } = await outbox.claim({ subscription: "!operator", now: NOON + 30, limit: 9 });
    assertEquals(claims.map(({ event }) => event.type), ["subscription.paused"]);

    const ended = anEntry({ kind: "resumed", subscription: "crm", by: "ann" });
    const resuming = { subscription: "crm", at: NOON + 40, entry: ended };
    assertEquals(await outbox.resume(resuming), true);
    assertEquals(await outbox.resume(resuming), false);
    assertEquals((await reader.health()).get("crm"), { ...failing, changedAt: NOON + 40 });
    const { items } = await reader.history({ limit: 9 });
    assertEquals(items.map(({ kind }) => kind), ["resumed", "paused"]);
    assertEquals(await outbox.resume({ ...resuming, subscription: "untried" }), false);
  });

  story("noteSwitched() keeps since when subscriptions are as they are", async ({
    outbox,
    reader,
  }) => {
    const ids = Array.from({ length: 1_200 }, (_, i) => `s${i}`);
    await outbox.noteSwitched(["s1"], NOON);
    await outbox.noteSwitched(ids, NOON + 9);
    const health = await reader.health();
    assertEquals(health.size, 1_200);
    assertEquals(health.get("s1"), { consecutiveFailures: 0, changedAt: NOON + 9 });
  });

  story("remember() stores notices in the same commit", async ({ outbox, reader }) => {
    await outbox.remember([anEntry(), anEntry({ by: "ann" })], [aNotice("config.rejected")]);
    assertEquals((await reader.history({ limit: 9 })).items.length, 2);
    assertEquals((await reader.events({ limit: 9 })).items.map(({ acceptedAt }) => acceptedAt), [
      NOON,
    ]);
  });

  story(
    "prune() takes finished deliveries past their time, in batches",
    async ({ outbox, reader }) => {
      for (let i = 0; i < 5; i++) await outbox.record(delivered(await aClaim(outbox), NOON + i));
      await outbox.record(exhausted(await aClaim(outbox), NOON));
      const pending = await aClaim(outbox);
      await outbox.enqueue({ events: [aNewEvent({ deliveries: [] })], at: NOON });
      const before = { delivered: NOON + 4, exhausted: NOON, limit: 3 };
      const batches = [];
      for (let batch = 0; batch < 3; batch++) batches.push(await prunedRows(outbox, before));
      // The event that nobody gets is one of a kind of its own.
      assertEquals(batches, [[3, 4, true], [1, 1, false], [0, 0, false]]);
      const { items } = await reader.deliveries({ limit: 9 });
      assertEquals(items.map(({ state }) => state).sort(), ["delivered", "exhausted", "pending"]);
      assertEquals(await outbox.record(delivered(pending, NOON + 9)), true);
    },
  );

  story("prune() keeps an event while a delivery of it is left", async ({ outbox, reader }) => {
    const deliveries = [aDelivery({ claim: true }), aDelivery({ subscription: "slow" })];
    const answer = accepted(
      await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON }),
    );
    const [claim] = answer.claims;
    await outbox.record(delivered(claim!, NOON + 1));
    const before = { delivered: NOON + 99, exhausted: NOON + 99, limit: 9 };
    assertEquals(await prunedRows(outbox, before), [1, 0, false]);
    assertEquals((await reader.event(claim!.event.id))?.id, claim!.event.id);
    await outbox.cancel([answer.receipts[0]!.deliveries[1]!.id], "enough", NOON + 2);
    assertEquals(await prunedRows(outbox, before), [1, 1, false]);
  });

  story("prune() gives each kind of row a share of its own", async ({ outbox, reader }) => {
    for (let i = 0; i < 4; i++) {
      await outbox.record(delivered(await aClaim(outbox), NOON));
      await outbox.record(exhausted(await aClaim(outbox), NOON));
      await outbox.cancel([(await aClaim(outbox)).delivery.id], "enough", NOON);
    }
    const request = { delivered: NOON + 99, exhausted: NOON + 99, limit: 1 };
    await outbox.prune(request);
    const { items } = await reader.deliveries({ limit: 99 });
    const left = Map.groupBy(items, ({ state }) => state);
    assertEquals([...left.values()].map(({ length }) => length), [3, 3, 3]);
  });

  story("prune() out of time goes on with the next kind, so that none starves", async ({
    outbox,
    reader,
  }) => {
    for (let i = 0; i < 6; i++) await outbox.record(delivered(await aClaim(outbox), NOON));
    await outbox.record(exhausted(await aClaim(outbox), NOON));
    const late = await aClaim(outbox);
    await outbox.cancel([late.delivery.id], "enough", NOON);
    await bringSideTablesUpToDate(outbox);
    let looks = 0;
    const hold = { maxMs: 2, monotonicMs: () => looks++ };
    const request = { delivered: NOON + 99, exhausted: NOON + 99, limit: 99, hold };
    for (let batch = 0; batch < 3; batch++) {
      const { mayHaveMore, heldMs } = await outbox.prune(request);
      assertEquals([mayHaveMore, heldMs >= 2], [true, true]);
    }
    const { items } = await reader.deliveries({ limit: 99 });
    assert(items.length > 1, "none of the batches was short");
    assertEquals(items.filter(({ state }) => state !== "delivered"), []);
  });

  story("overdue() tells for how long the oldest row of each kind has waited", async ({
    outbox,
    reader,
  }) => {
    const times = { delivered: NOON + 50, exhausted: NOON + 30 };
    assertEquals(await reader.overdue(times), new Map());
    await outbox.record(delivered(await aClaim(outbox), NOON + 5));
    await outbox.record(delivered(await aClaim(outbox), NOON + 9));
    await outbox.record(exhausted(await aClaim(outbox), NOON + 40));
    await outbox.cancel([(await aClaim(outbox)).delivery.id], "enough", NOON + 10);
    await outbox.remember([{ at: NOON, kind: "reloaded", cause: "nothing changed" }]);
    const idempotency = { key: aHash(7), content: aHash(1) };
    await outbox.enqueue({ events: [aNewEvent({ deliveries: [] })], idempotency, at: NOON + 20 });
    await bringSideTablesUpToDate(outbox);
    assertEquals(
      await reader.overdue(times),
      new Map([
        ["delivered", 45],
        ["cancelled", 20],
        ["events", 30],
        ["keys", 10],
        ["history", 30],
        ["tallies", 30],
      ]),
    );
  });

  story("counts() tells each subscription's deliveries by state, until pruned", async ({
    outbox,
    reader,
  }) => {
    const [first, second, third] = [
      await aClaim(outbox),
      await aClaim(outbox),
      await aClaim(outbox),
    ];
    const deliveries = [aDelivery({ subscription: "other" })];
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON });
    await outbox.record(delivered(first, NOON + 20));
    await outbox.record(exhausted(second, NOON + 20));
    await outbox.redeliver(second.delivery.id, NOON + 30);
    await outbox.cancel([third.delivery.id], "enough", NOON + 40);
    assertEquals(
      await reader.counts(["crm", "nobody", "other"]),
      new Map([
        ["crm", { pending: 1, delivered: 1, exhausted: 1, cancelled: 1 }],
        ["other", { ...NONE, pending: 1 }],
      ]),
    );
    await outbox.prune({ delivered: NOON + 99, exhausted: NOON + 30, limit: 9 });
    assertEquals([...await reader.counts(["other"])], [["other", { ...NONE, pending: 1 }]]);
    assertEquals((await reader.counts(["crm"])).get("crm"), { ...NONE, pending: 1, cancelled: 1 });
  });

  story("startReplay() and stepReplay() send again what fits, oldest first, in steps", async ({
    outbox,
    reader,
  }) => {
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.push(await aFinished(outbox, { at: NOON + i }));
    await aFinished(outbox, { at: NOON + 5, type: "booking.cancelled" });
    await aFinished(outbox, { at: NOON + 2, subscription: "other" });
    await aFinished(outbox, { at: NOON + 2, ends: exhausted });
    await aFinished(outbox, { at: NOON - 1 });
    await aFinished(outbox, { at: NOON + 9 });
    const filter = {
      subscription: "crm",
      type: "booking.created",
      state: "delivered",
      since: NOON,
      until: NOON + 9,
    } as const;
    assertEquals(await reader.countReplay(filter), 5);
    const replay = await outbox.startReplay({ filter, by: "ann", at: NOON + 500 });
    assertMatch(replay.id, /^rpl_[0-9A-HJKMNP-TV-Z]{26}$/);
    assertEquals(replay, {
      id: replay.id,
      filter,
      total: 5,
      done: 0,
      by: "ann",
      createdAt: NOON + 500,
      state: "running",
    });
    assertEquals(await reader.openReplays(), [replay]);
    const step = { limit: 2, at: NOON + 600 };
    assertEquals(await outbox.stepReplay(replay.id, step), {
      subscriptions: ["crm"],
      cancelled: [],
      finished: false,
    });
    assertEquals((await reader.replay(replay.id))?.done, 2);
    await outbox.stepReplay(replay.id, step);
    assertEquals(await outbox.stepReplay(replay.id, step), {
      subscriptions: ["crm"],
      cancelled: [],
      finished: true,
    });
    const finished = { ...replay, done: 5, finishedAt: NOON + 600, state: "finished" as const };
    assertEquals(await reader.replay(replay.id), finished);
    assertEquals(await reader.openReplays(), []);
    assertEquals(await outbox.stepReplay(replay.id, step), {
      subscriptions: [],
      cancelled: [],
      finished: true,
    });
    const again = (await redeliveries(reader)).reverse();
    assertEquals(again.map(({ redeliveryOf }) => redeliveryOf), ids);
    const { claims } = await outbox.claim({ subscription: "crm", now: NOON + 600, limit: 9 });
    const source = await reader.delivery(ids[0]!);
    assertEquals(claims.length, 5);
    assertEquals([claims[0]!.event.id, claims[0]!.format], [source!.eventId, source!.format]);
  });

  story("what failed for good is one set: exhausted, and cancelled by the receiver's 410", async ({
    outbox,
    reader,
  }) => {
    const gone = (claim: Claim, at: number): Recording => ({
      ...delivered(claim, at),
      attempt: anAttempt({ result: "failure", outcome: answered(410), startedAt: at - 12 }),
      verdict: { kind: "cancelled", reason: GONE },
    });
    const lost = [
      await aFinished(outbox, { ends: exhausted }),
      await aFinished(outbox, { at: NOON + 1, ends: gone }),
      await aFinished(outbox, { at: NOON + 2, ends: exhausted, subscription: "erp" }),
    ];
    await aFinished(outbox, { at: NOON + 1 });
    await aClaim(outbox);
    const cancelled = await aClaim(outbox);
    await outbox.cancel([cancelled.delivery.id], "cancelled by ada", NOON + 30);
    // It was under way, and its answer came too late to decide anything.
    assertEquals(await outbox.record(gone(cancelled, NOON + 31)), false);

    const { items } = await reader.deliveries({ limit: 99 });
    assertEquals(items.filter(failedForGood).map(({ id }) => id).toSorted(), lost.toSorted());
    const filter = { state: "failed", since: NOON, until: NOON + 99 } as const;
    assertEquals(await reader.countReplay(filter), 3);
    assertEquals(await reader.countReplay({ ...filter, subscription: "erp" }), 1);
    assertEquals(await replayAll(outbox, filter, NOON + 60), 3);
    const again = (await redeliveries(reader)).map(({ redeliveryOf }) => redeliveryOf!);
    assertEquals(again.toSorted(), lost.toSorted());
    const open = await outbox.startReplay({ filter, by: "ann", at: NOON + 70 });
    assertEquals((await reader.replay(open.id))?.filter, filter);
  });

  story("a replay leaves out tests, notices, and what was sent again already", async ({
    outbox,
    reader,
  }) => {
    const finishNext = async (at: number) => {
      const [claim] = (await outbox.claim({ subscription: "crm", now: at, limit: 1 })).claims;
      await outbox.record(delivered(claim!, at));
    };
    const test = await aFinished(outbox, { cause: "test" });
    await outbox.redeliver(test, NOON + 30);
    await finishNext(NOON + 30);
    await aFinished(outbox, { cause: "notice" });
    const first = await aFinished(outbox, {});
    const second = (await outbox.redeliver(first, NOON + 31))!.id;
    await finishNext(NOON + 40);
    const waiting = await aFinished(outbox, {});
    await outbox.redeliver(waiting, NOON + 50);
    const filter = { since: NOON, until: NOON + 99 };
    assertEquals(await reader.countReplay(filter), 1);
    // Sent again twice from the same: the newest of the three counts.
    const third = (await outbox.redeliver(first, NOON + 41))!.id;
    assertEquals(await reader.countReplay(filter), 0);
    await outbox.cancel([third], "enough", NOON + 42);
    assertEquals(await replayAll(outbox, filter, NOON + 60), 1);
    assertEquals((await redeliveries(reader))[0]!.redeliveryOf, third);
    assertNotEquals(second, third);
  });

  story("a replay sends neither what finished after it began nor what it has sent", async ({
    outbox,
    reader,
  }) => {
    const at = NOON + 20;
    await aFinished(outbox, { at: NOON });
    await aFinished(outbox, { at: NOON });
    const slow = await aClaim(outbox);
    const filter = { since: NOON, until: NOON + 99_000 };
    // All in the same millisecond.
    const replay = await outbox.startReplay({ filter, by: "ann", at });
    await outbox.record(delivered(slow, at));
    assertEquals(replay.total, 2);
    for (let i = 0; i < 9; i++) {
      await outbox.stepReplay(replay.id, { limit: 1, at });
      const { claims } = await outbox.claim({ subscription: "crm", now: at, limit: 9 });
      for (const claim of claims) await outbox.record(delivered(claim, at));
    }
    assertEquals((await reader.replay(replay.id))?.finishedAt, at);
    assertEquals((await reader.replay(replay.id))?.done, 2);
    // The next one takes these, and the one that was late.
    assertEquals((await outbox.startReplay({ filter, by: "ann", at })).total, 3);
  });

  story("two replays of the same send each delivery once", async ({ outbox, reader }) => {
    for (let i = 0; i < 4; i++) await aFinished(outbox, { at: NOON + i });
    const filter = { since: NOON, until: NOON + 9 };
    const [one, other] = await Promise.all([
      outbox.startReplay({ filter, by: "ann", at: NOON + 50 }),
      outbox.startReplay({ filter, by: "ben", at: NOON + 50 }),
    ]);
    assertNotEquals(one.id, other.id);
    assertEquals([one.total, other.total], [4, 4]);
    for (let i = 0; i < 3; i++) {
      await Promise.all(
        [one, other].map(({ id }) => outbox.stepReplay(id, { limit: 3, at: NOON + 60 })),
      );
    }
    assertEquals((await redeliveries(reader)).length, 4);
    const ended = await Promise.all([one, other].map(({ id }) => reader.replay(id)));
    assertEquals(ended.map((replay) => replay!.done), [3, 1]);
    assertEquals(ended.every((replay) => replay!.finishedAt !== undefined), true);
  });

  story("a replay of what is not there ends with its first step", async ({ outbox, reader }) => {
    await aFinished(outbox, {});
    for (const filter of [{ subscription: "none" }, { type: "none" }, { until: NOON }]) {
      const replay = await outbox.startReplay({
        filter: { since: NOON, until: NOON + 9, ...filter },
        by: "ann",
        at: NOON + 50,
      });
      assertEquals(replay.total, 0);
      const step = await outbox.stepReplay(replay.id, { limit: 9, at: NOON + 60 });
      assertEquals(step, { subscriptions: [], cancelled: [], finished: true });
    }
    assertEquals(await reader.replay("rpl_none"), undefined);
    assertEquals(await outbox.stepReplay("rpl_none", { limit: 9, at: NOON }), {
      subscriptions: [],
      cancelled: [],
      finished: true,
    });
  });

  story("stopReplay() ends what is under way, once, with its line of history", async ({
    outbox,
    reader,
  }) => {
    for (let i = 0; i < 5; i++) await aFinished(outbox, { at: NOON + i });
    const entry = (replay: Replay) => ({
      at: NOON + 50,
      kind: "replayed" as const,
      cause: `${replay.done} of ${replay.total} (${replay.id})`,
      by: "ann",
    });
    const filter = { since: NOON, until: NOON + 9 };
    const { id } = await outbox.startReplay({ filter, by: "ann", at: NOON + 50, entry });
    await outbox.stepReplay(id, { limit: 2, at: NOON + 60 });
    const stop = { at: NOON + 70, entry };
    assertEquals(await outbox.stopReplay(id, stop), true);
    assertEquals(await outbox.stopReplay(id, stop), false);
    assertEquals(await outbox.stopReplay("rpl_none", stop), false);
    const { state, done, finishedAt } = (await reader.replay(id))!;
    assertEquals([state, done, finishedAt], ["stopped", 2, NOON + 70]);
    assertEquals(await outbox.stepReplay(id, { limit: 9, at: NOON + 80 }), {
      subscriptions: [],
      cancelled: [],
      finished: true,
    });
    const { items } = await reader.history({ limit: 9 });
    assertEquals(items.map(({ cause }) => cause), [`2 of 5 (${id})`, `0 of 5 (${id})`]);
  });

  story(
    "a retry of what is pending leaves held subscriptions alone and does not count them",
    async ({
      outbox,
      reader,
    }) => {
      const ids: string[] = [];
      for (const subscription of ["crm", "erp", "crm"]) {
        const events = [aNewEvent({ deliveries: [aDelivery({ subscription, claim: true })] })];
        const claim = accepted(await outbox.enqueue({ events, at: NOON })).claims[0]!;
        await outbox.record(toRetry(claim, { at: NOON + 20, dueAt: NOON + 5_000 }));
        ids.push(claim.delivery.id);
      }
      const filter = { state: "pending", since: NOON, until: NOON + 9 } as const;
      const { id, total } = await outbox.startReplay({ filter, by: "ann", at: NOON + 50 });
      const step = await outbox.stepReplay(id, {
        limit: 9,
        at: NOON + 60,
        isHeld: (subscription) => subscription === "crm",
      });
      assertEquals(step, { subscriptions: ["erp"], cancelled: [], finished: true });
      assertEquals([total, (await reader.replay(id))!.done], [3, 1]);
      const due = await Promise.all(ids.map(async (each) => {
        const { subscription, dueAt } = (await reader.delivery(each))!;
        return [subscription, dueAt];
      }));
      assertEquals(due, [["crm", NOON + 5_000], ["erp", NOON + 60], ["crm", NOON + 5_000]]);
    },
  );

  story("a replay begins whatever is pruned meanwhile", async ({ outbox, reader }) => {
    await aFinished(outbox, {});
    const filter = { since: NOON, until: NOON + 9 };
    const [replay] = await Promise.all([
      outbox.startReplay({ filter, by: "ann", at: NOON + 50 }),
      outbox.prune({ delivered: NOON, exhausted: NOON + 99, limit: 9 }),
    ]);
    assertEquals(await reader.openReplays(), [replay]);
  });

  story("a replay goes on behind what was pruned meanwhile", async ({ outbox, reader }) => {
    for (let i = 0; i < 6; i++) await aFinished(outbox, { at: NOON + i });
    const filter = { since: NOON, until: NOON + 9 };
    const { id } = await outbox.startReplay({ filter, by: "ann", at: NOON + 50 });
    await outbox.stepReplay(id, { limit: 2, at: NOON + 60 });
    await outbox.prune({ delivered: NOON + 24, exhausted: NOON, limit: 9 });
    const step = await outbox.stepReplay(id, { limit: 9, at: NOON + 60 });
    assertEquals(step, { subscriptions: ["crm"], cancelled: [], finished: true });
    assertEquals((await reader.replay(id))?.done, 4);
  });

  story("history() tells what happened, newest first, by subscription and delivery", async ({
    outbox,
    reader,
  }) => {
    const claim = await aClaim(outbox);
    const { id } = claim.delivery;
    const failing = anEntry({
      kind: "failing",
      subscription: "crm",
      delivery: id,
      cause: "a\u0000ü",
    });
    const recording = { ...exhausted(claim, NOON + 20), health: { consecutiveFailures: 6 } };
    await outbox.record({ ...recording, history: [failing] });
    // Not recorded, not remembered.
    await outbox.record({ ...recording, history: [failing] });
    const paused = anEntry({ kind: "paused", subscription: "crm", by: "ann" });
    const pausing = { subscription: "crm", at: NOON, reason: "by ann", entry: paused };
    await outbox.pause({ ...pausing, notices: [] });
    const reloaded = anEntry();
    await outbox.remember([reloaded]);
    const other = anEntry({ kind: "paused", subscription: "other" });
    await outbox.remember([other]);

    const entriesOf = async (filter: object) => {
      const entries: HistoryEntry[] = [];
      for (let cursor = {};;) {
        const { items, next } = await reader.history({ limit: 1, ...filter, ...cursor });
        entries.push(...items.map(({ seq: _, ...entry }) => entry));
        if (next === undefined) return entries;
        cursor = { cursor: next };
      }
    };
    assertEquals(await entriesOf({}), [other, reloaded, paused, failing]);
    assertEquals(await entriesOf({ subscription: "crm" }), [paused, failing]);
    assertEquals(await entriesOf({ delivery: id }), [failing]);
    assertEquals(await entriesOf({ delivery: id, subscription: "other" }), []);
    assertEquals(await entriesOf({ subscription: "none" }), []);
    const { items } = await reader.history({ limit: 9 });
    assertEquals(items.map(({ seq }) => seq).sort((a, b) => b - a), items.map(({ seq }) => seq));
  });

  story("prune() takes history and finished replays with what is exhausted", async ({
    outbox,
    reader,
  }) => {
    const filter = { since: NOON, until: NOON + 9 };
    const done = await outbox.startReplay({ filter, by: "ann", at: NOON });
    await outbox.stepReplay(done.id, { limit: 9, at: NOON + 1 });
    const open = await outbox.startReplay({ filter, by: "ann", at: NOON });
    for (const at of [NOON, NOON + 10]) await outbox.remember([anEntry({ at })]);
    await outbox.prune({ delivered: NOON + 99, exhausted: NOON + 5, limit: 9 });
    const { items } = await reader.history({ limit: 9 });
    assertEquals(items.map(({ at }) => at), [NOON + 10]);
    assertEquals(await reader.replay(done.id), undefined);
    assertEquals(await reader.openReplays(), [open]);
  });

  story("watch() tells of each delivery as it is after the commit", async ({ outbox, reader }) => {
    const told: Change[] = [];
    const stop = reader.watch((changes) => told.push(...changes));
    const claim = await aClaim(outbox);
    const { id } = claim.delivery;
    await outbox.record(toRetry(claim, { at: NOON + 20, dueAt: NOON + 90 }));
    await outbox.hasten(id, NOON + 30);
    const [again] = (await outbox.claim({ subscription: "crm", now: NOON + 30, limit: 1 })).claims;
    await outbox.record(delivered(again!, NOON + 40));
    const redelivery = await outbox.redeliver(id, NOON + 50);
    await outbox.cancel([redelivery!.id], "enough", NOON + 60);
    const seen = told.map((change) => change.kind === "delivery" ? change.delivery : undefined);
    assertEquals(
      seen.map((delivery) => [delivery?.state, delivery?.attemptCount, delivery?.dueAt]),
      [
        ["pending", 0, NOON],
        ["pending", 1, NOON + 90],
        ["pending", 1, NOON + 30],
        ["delivered", 2, undefined],
        ["pending", 0, NOON + 50],
        ["cancelled", 0, undefined],
      ],
    );
    assertEquals([seen[0]!.id, seen[0]!.eventId, seen[0]!.type], [
      id,
      claim.event.id,
      claim.event.type,
    ]);
    assertEquals(seen[4], redelivery);
    stop();
    await aClaim(outbox);
    assertEquals(told.length, 6);
  });

  story(
    "watch() tells of a subscription when it fails, stops answering, recovers, is paused or resumed",
    async ({
      outbox,
      reader,
    }) => {
      const turns = [
        { consecutiveFailures: 0, lastSuccessAt: NOON },
        { consecutiveFailures: 6, failingSince: NOON + 1 },
        { consecutiveFailures: 7, failingSince: NOON + 1 },
        { consecutiveFailures: 0, lastSuccessAt: NOON + 2 },
        { consecutiveFailures: 0, lastSuccessAt: NOON + 3 },
        { consecutiveFailures: 0, pausedAt: NOON + 4 },
        { consecutiveFailures: 0 },
        { consecutiveFailures: 2, lastSuccessAt: NOON + 3 },
        { consecutiveFailures: 3, lastSuccessAt: NOON + 3 },
        { consecutiveFailures: 4, lastSuccessAt: NOON + 3 },
        { consecutiveFailures: 0, lastSuccessAt: NOON + 9 },
      ];
      const claims: Claim[] = [];
      for (const _ of turns) claims.push(await aClaim(outbox));
      const told: Change[] = [];
      const stop = reader.watch((changes) => told.push(...changes));
      for (const [i, health] of turns.entries()) {
        await outbox.record({ ...delivered(claims[i]!, NOON + i), health });
      }
      stop();
      assertEquals(
        told.filter(({ kind }) => kind === "subscription"),
        [1, 3, 5, 6, 8, 10].map((i) => ({
          kind: "subscription",
          subscription: "crm",
          health: turns[i]!,
          pending: turns.length - 1 - i,
        } as const)),
      );
    },
  );

  story("watch() is not spoiled by a listener that throws", async ({ outbox, reader }) => {
    let told = 0;
    const stops = [
      reader.watch(() => {
        throw new Error("spoilt");
      }),
      reader.watch((changes) => void (told += changes.length)),
    ];
    const claim = await aClaim(outbox);
    assertEquals(await outbox.record(delivered(claim, NOON + 20)), true);
    assertEquals(told, 2);
    for (const stop of stops) stop();
  });

  story("tallies() adds up what attempts came to, by the hour and the minute", async ({
    outbox,
    reader,
  }) => {
    const minute = 60_000, hour = 60 * minute;
    await aFinished(outbox, {});
    await aFinished(outbox, { subscription: "erp", at: NOON + minute, ends: exhausted });
    await aFinished(outbox, { cause: "notice" });
    const claim = await aClaim(outbox);
    await outbox.record(toRetry(claim, { at: NOON + minute, dueAt: NOON + hour }));
    const { claims: [again] } = await outbox.claim({
      subscription: "crm",
      now: NOON + hour,
      limit: 1,
    });
    // Both hours in one commit, and the first once more.
    const [early, late] = [await aClaim(outbox), await aClaim(outbox)];
    await Promise.all([
      outbox.record(delivered(early!, NOON + hour - 1)),
      outbox.record(delivered(again!, NOON + hour)),
      outbox.record(delivered(late!, NOON + hour - 1)),
    ]);
    const shape = ({ startsAt, ...counts }: Tally) => [startsAt - NOON, Object.values(counts)];
    const hours = await reader.tallies({ slot: "hour", since: NOON });
    assertEquals(hours.map(shape), [[0, [5, 3, 3, 2, 1, 3, 1]], [hour, [0, 0, 1, 0, 0, 1, 0]]]);
    const minutes = await reader.tallies({ slot: "minute", since: NOON + minute });
    assertEquals(minutes.map(shape), [
      [minute, [2, 0, 0, 2, 1, 0, 1]],
      [59 * minute, [2, 2, 2, 0, 0, 2, 0]],
      [hour, [0, 0, 1, 0, 0, 1, 0]],
    ]);
    const erp = await reader.tallies({ slot: "hour", since: NOON, subscription: "erp" });
    assertEquals(erp.map(shape), [[0, [1, 0, 0, 1, 0, 0, 1]]]);
    assertEquals(await reader.tallies({ slot: "hour", since: 0, subscription: "none" }), []);
    const took = answerTimeBucket(12);
    const answers = await reader.answers({ slot: "hour", since: NOON, spanMs: hour });
    assertEquals(answers, [
      { startsAt: NOON, status: 200, took, count: 3 },
      { startsAt: NOON, took, count: 1 },
      { startsAt: NOON, status: 503, took, count: 1 },
      { startsAt: NOON + hour, status: 200, took, count: 1 },
    ]);
    const inAll = await reader.answers({ slot: "minute", since: NOON, spanMs: 24 * hour });
    assertEquals(inAll, [
      { startsAt: NOON, status: 200, took, count: 4 },
      { startsAt: NOON, took, count: 1 },
      { startsAt: NOON, status: 503, took, count: 1 },
    ]);
  });

  story("tallies() keeps two hours of minutes, and hours as long as what is exhausted", async ({
    outbox,
    reader,
  }) => {
    const hour = 3_600_000;
    for (const at of [NOON, NOON + 2 * hour, NOON + 3 * hour]) await aFinished(outbox, { at });
    await bringSideTablesUpToDate(outbox);
    const starts = async (slot: "minute" | "hour") =>
      (await reader.tallies({ slot, since: 0 })).map(({ startsAt }) => startsAt);
    assertEquals(await starts("minute"), [NOON + 2 * hour, NOON + 3 * hour]);
    assertEquals(await starts("hour"), [NOON, NOON + 2 * hour, NOON + 3 * hour]);
    const exhausted = NOON + 2 * hour + 1;
    await outbox.prune({ delivered: 0, exhausted, limit: 99 });
    assertEquals(await starts("hour"), [NOON + 3 * hour]);
  });

  story("backlog() tells what waits and since when it is due", async ({ outbox, reader }) => {
    await outbox.enqueue({ events: [aNewEvent()], at: NOON + 5 });
    await outbox.enqueue({ events: [aNewEvent()], at: NOON });
    await aFinished(outbox, { subscription: "erp" });
    assertEquals([...await reader.backlog()], [["crm", { pending: 2, dueAt: NOON }]]);
  });

  story("backlogOf() tells what waits for one subscription alone", async ({ outbox, reader }) => {
    for (const subscription of ["a", "crm", "z"]) {
      const deliveries = [aDelivery({ subscription })];
      await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON });
    }
    await aFinished(outbox, { subscription: "erp" });
    await bringSideTablesUpToDate(outbox);
    await outbox.enqueue({ events: [aNewEvent()], at: NOON + 5 });
    assertEquals(await reader.backlogOf("crm"), { pending: 2, dueAt: NOON });
    assertEquals(await reader.backlogOf("erp"), undefined);
    assertEquals(await reader.backlogOf("nobody"), undefined);
  });

  story(
    "backlog(), backlogOf() and due() tell when the one retry of a subscription is due",
    async ({
      outbox,
      reader,
    }) => {
      const dueAt = NOON + 60;
      await outbox.record(toRetry(await aClaim(outbox), { at: NOON + 20, dueAt }));
      assertEquals([...await reader.backlog()], [["crm", { pending: 1, dueAt }]]);
      assertEquals(await reader.backlogOf("crm"), { pending: 1, dueAt });
      const told = await Promise.all([59, 60].map((ms) => reader.due(NOON + ms)));
      assertEquals(told.map((due) => due.get("crm")), [
        { pending: 1, dueAt, due: 0 },
        { pending: 1, dueAt, due: 1 },
      ]);
    },
  );

  story("due() tells what is due from what is due later", async ({ outbox, reader }) => {
    const due = async (at: number) => (await reader.due(at)).get("crm");
    assertEquals(await due(NOON), undefined);
    for (const at of [NOON + 5, NOON, NOON + 5, NOON + 9]) {
      await outbox.enqueue({ events: [aNewEvent()], at });
    }
    await aFinished(outbox, { subscription: "erp" });
    const told = await Promise.all([-1, 0, 4, 5, 8, 9].map((ms) => due(NOON + ms)));
    assertEquals(told, [0, 1, 1, 3, 3, 4].map((due) => ({ pending: 4, dueAt: NOON, due })));
    assertEquals((await reader.due(NOON)).has("erp"), false);
  });

  story("due() sees every subscription, however many", async ({ outbox, reader }) => {
    const subscriptions = Array.from({ length: 777 }, (_, i) => `s${i}`);
    const deliveries = subscriptions.map((subscription) => aDelivery({ subscription }));
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON });
    assertEquals([...(await reader.due(NOON)).keys()].sort(), subscriptions.sort());
  });

  story("a commit that can't be carried out stores nothing, and says why until one can", async ({
    outbox,
    reader,
  }) => {
    let isFull = true;
    outbox.timeCommits((commit) => {
      if (isFull) throw new OutboxUnavailable("the disk is full");
      return commit();
    });
    const post = () => outbox.enqueue({ events: [aNewEvent()], at: NOON });
    const refused = [post(), outbox.remember([anEntry()]), outbox.shiftDue(NOON, 9), post()];
    for (const each of refused) await assertRejects(() => each, OutboxUnavailable);
    assertMatch((await outbox.unavailableBecause())!, /the disk is full/);
    assertEquals((await reader.audit()).events, 0);
    isFull = false;
    assertEquals(await outbox.unavailableBecause(), undefined);
    assertEquals((await post()).kind, "accepted");
    assertEquals((await reader.history({ limit: 9 })).items, []);
  });

  Deno.test(`${name}: once a commit has failed for good nothing is answered as if it were stored`, async () => {
    const { outbox, forget } = await open();
    await outbox.enqueue({ events: [aNewEvent()], at: NOON });
    const broken = new OutboxFailed("the disk is broken");
    outbox.timeCommits(() => {
      throw broken;
    });
    const post = () => outbox.enqueue({ events: [aNewEvent()], at: NOON });
    await assertRejects(post, OutboxFailed);
    assertEquals(await outbox.failed, broken);
    outbox.timeCommits((commit) => commit());
    await assertRejects(post, OutboxFailed);
    await assertRejects(
      () => outbox.claim({ subscription: "crm", now: NOON, limit: 1 }),
      OutboxFailed,
    );
    assertMatch((await outbox.unavailableBecause())!, /the disk is broken/);
    await outbox.close();
    await forget?.();
  });

  story("unavailableBecause() has nothing to say while all is well", async ({ outbox }) => {
    assertEquals(await outbox.unavailableBecause(), undefined);
    await aClaim(outbox);
    assertEquals(await outbox.unavailableBecause(), undefined);
  });

  story("enqueue() refuses what exceeds a publisher's quota of pending deliveries", async ({
    outbox,
    reader,
  }) => {
    const post = (most: number | undefined, deliveries: number, publisher = "pms") =>
      outbox.enqueue({
        events: [aNewEvent({
          publisher,
          deliveries: Array.from({ length: deliveries }, () => aDelivery({ claim: true })),
        })],
        ...(most !== undefined && { quota: { publisher, most } }),
        at: NOON,
      });
    // All in one commit, the first of them from before there was a limit.
    const [before, full, over, beside] = await Promise.all([
      post(undefined, 2),
      post(5, 3),
      post(5, 1),
      post(undefined, 1, "shop"),
    ]);
    assertEquals([before.kind, full.kind, beside.kind], ["accepted", "accepted", "accepted"]);
    assertEquals(over, { kind: "tooManyPending", pending: 5, more: 1 });
    assertEquals((await post(5, 0)).kind, "accepted");
    const [one, two, three] = accepted(full).claims;
    await Promise.all([
      outbox.record(delivered(one!, NOON)),
      outbox.record(toRetry(two!, { at: NOON, dueAt: NOON + 99 })),
      outbox.cancel([three!.delivery.id], "enough", NOON),
    ]);
    assertEquals(await post(4, 2), { kind: "tooManyPending", pending: 3, more: 2 });
    await outbox.redeliver(one!.delivery.id, NOON);
    await outbox.record(delivered(accepted(before).claims[0]!, NOON));
    assertEquals(await post(2, 1), { kind: "tooManyPending", pending: 2, more: 1 });
    assertEquals((await post(3, 1)).kind, "accepted");
    assertEquals(await post(3, 1, "shop").then(accepted).then(({ stored }) => stored), 1);
    const { items } = await reader.deliveries({ state: "pending", limit: 99 });
    assertEquals(items.length, 3 + 1 + 2);
  });

  story("prune() lets an Idempotency-Key be used anew after its time", async ({ outbox }) => {
    const idempotency = { key: aHash(7), content: aHash(1) };
    await outbox.enqueue({ events: [aNewEvent()], idempotency, at: NOON });
    await outbox.prune({ delivered: NOON + 1, exhausted: NOON + 1, limit: 9 });
    const other = { key: aHash(7), content: aHash(2) };
    const answer = await outbox.enqueue({ events: [aNewEvent()], idempotency: other, at: NOON });
    assertEquals(answer.kind, "accepted");
  });

  story("prune() takes Idempotency-Keys though deliveries fill the batch", async ({ outbox }) => {
    for (const key of [1, 2, 3]) {
      const idempotency = { key: aHash(key), content: aHash(1) };
      await outbox.enqueue({ events: [aNewEvent()], idempotency, at: NOON });
      await outbox.record(delivered(await aClaim(outbox), NOON));
    }
    const before = { delivered: NOON + 99, exhausted: NOON + 9, limit: 1 };
    const { deliveries, others } = await outbox.prune(before);
    assertEquals([deliveries, others >= 1], [1, true]);
    await outbox.prune(before);
    await outbox.prune(before);
    const idempotency = { key: aHash(3), content: aHash(2) };
    const answer = await outbox.enqueue({ events: [aNewEvent()], idempotency, at: NOON });
    assertEquals(answer.kind, "accepted");
    // The longer of the two times counts.
    await outbox.prune({ delivered: NOON - 9, exhausted: NOON + 9, limit: 9 });
    const other = { key: aHash(3), content: aHash(1) };
    const refused = await outbox.enqueue({ events: [aNewEvent()], idempotency: other, at: NOON });
    assertEquals(refused.kind, "keyConflict");
  });

  story("deliveries() filters by each thing and by all of them together", async ({
    outbox,
    reader,
  }) => {
    const data = '{"guest":"Zoë \\"Z\\" Quist"}';
    const special = await aClaim(outbox, { data, type: "booking.cancelled" });
    await outbox.record(toRetry(special, { at: NOON + 20, dueAt: NOON + 60 }));
    for (let i = 0; i < 3; i++) await outbox.record(delivered(await aClaim(outbox), NOON + 30));
    const deliveries = [aDelivery({ subscription: "other" })];
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON + 500 });
    const filters = [
      { state: "pending", subscription: "crm" },
      { status: 503 },
      { type: "booking.cancelled" },
      { eventId: special.event.id },
      { q: 'Zoë "Z"' },
      { q: '"guest":' },
      { state: "pending", until: NOON + 500 },
      {
        state: "pending",
        subscription: "crm",
        type: "booking.cancelled",
        status: 503,
        eventId: special.event.id,
        since: NOON,
        until: NOON + 1,
        q: "Quist",
      },
    ] as const;
    for (const filter of filters) {
      const found: string[] = [];
      let cursor: string | undefined;
      // A page that is full may be followed by an empty one.
      do {
        const page = await reader.deliveries({ ...filter, limit: 1, ...(cursor && { cursor }) });
        found.push(...page.items.map(({ id }) => id));
        cursor = page.next;
      } while (cursor !== undefined);
      assertEquals(found, [special.delivery.id], JSON.stringify(filter));
    }
    const counts = [
      [{ state: "delivered" }, 3],
      [{ status: 200 }, 3],
      [{ subscription: "crm" }, 4],
      [{ since: NOON + 500 }, 1],
      [{ subscription: "none" }, 0],
      [{ type: "none" }, 0],
      [{ eventId: "none" }, 0],
      [{ q: "none" }, 0],
    ] as const;
    for (const [filter, count] of counts) {
      const { items } = await reader.deliveries({ ...filter, limit: 50 });
      assertEquals(items.length, count, JSON.stringify(filter));
    }
  });

  story("deliveries() goes on from a cursor while others are added", async ({ outbox, reader }) => {
    const added: string[] = [];
    const add = async (at: number) => {
      const { receipts } = accepted(await outbox.enqueue({ events: [aNewEvent()], at }));
      return receipts[0]!.deliveries[0]!.id;
    };
    // Several a millisecond, and the clock goes back once.
    for (const at of [NOON, NOON + 9, NOON, NOON + 9, NOON + 9, NOON + 3]) {
      added.push(await add(at));
    }
    const seen: string[] = [];
    let page = await reader.deliveries({ limit: 2 });
    for (;; page = await reader.deliveries({ limit: 2, cursor: page.next })) {
      seen.push(...page.items.map(({ id }) => id));
      await add(NOON + 20);
      if (page.next === undefined) break;
    }
    assertEquals(seen, added.sort().reverse());
  });

  story("events() lists newest first, by type and time", async ({ outbox, reader }) => {
    const events = Array.from({ length: 5 }, (_, i) => anEvent({ type: i % 2 ? "odd" : "even" }));
    for (const [i, event] of events.entries()) {
      await outbox.enqueue({ events: [aNewEvent({ event })], at: NOON + i });
    }
    const ids = async (filter: object) => {
      const seen: string[] = [];
      let page = await reader.events({ limit: 2, ...filter });
      for (;; page = await reader.events({ limit: 2, ...filter, cursor: page.next })) {
        seen.push(...page.items.map(({ id }) => id));
        if (page.next === undefined) return seen;
      }
    };
    assertEquals(await ids({}), events.map(({ id }) => id).reverse());
    assertEquals(await ids({ type: "odd" }), [events[3]!.id, events[1]!.id]);
    assertEquals(await ids({ since: NOON + 1, until: NOON + 3 }), [events[2]!.id, events[1]!.id]);
    assertEquals(await ids({ type: "none" }), []);
  });

  story("a cursor that nobody handed out is refused", async ({ reader }) => {
    await assertRejects(() => reader.deliveries({ limit: 1, cursor: "what" }), InvalidCursorError);
    await assertRejects(() => reader.events({ limit: 1, cursor: "-1" }), InvalidCursorError);
    await assertRejects(() => reader.history({ limit: 1, cursor: "x" }), InvalidCursorError);
  });

  story("what is not there is undefined, or nothing", async ({ reader }) => {
    assertEquals(await reader.event("none"), undefined);
    assertEquals(await reader.delivery("none"), undefined);
    assertEquals(await reader.deliveriesOf("none"), []);
    assertEquals(await reader.attempts("none"), []);
  });

  story("audit() counts what there is", async ({ outbox, reader }) => {
    await outbox.record(delivered(await aClaim(outbox), NOON + 20));
    await outbox.record(exhausted(await aClaim(outbox), NOON + 20));
    const { delivery } = await aClaim(outbox);
    await outbox.cancel([delivery.id], "enough", NOON);
    await aClaim(outbox);
    assertEquals(await reader.audit(), {
      events: 4,
      deliveries: { pending: 1, delivered: 1, exhausted: 1, cancelled: 1 },
      attempts: 2,
      faults: [],
      notes: [],
    });
  });

  Deno.test(`${name}: close() stores what was asked before it, and refuses what comes after`, async () => {
    const { outbox, forget } = await open();
    const asked = outbox.enqueue({ events: [aNewEvent()], at: NOON });
    const closed = outbox.close();
    await assertRejects(
      () => outbox.enqueue({ events: [aNewEvent()], at: NOON }),
      OutboxUnavailable,
    );
    assertEquals((await asked).kind, "accepted");
    await closed;
    await forget?.();
  });

  Deno.test(`${name}: whatever is asked in whatever order, every delivery is accounted for`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (steps) => {
        const { outbox, reader, forget } = await open();
        try {
          const { claims, now } = await takeSteps(outbox, steps);
          assertEquals((await reader.audit()).faults, []);
          const counts = await count(reader);
          assertEquals(await reader.counts([...counts.keys()]), counts);
          const pending = [...counts].filter(([, { pending }]) => pending > 0);
          assertEquals(await reader.pending(), new Map(pending.map(([id, c]) => [id, c.pending])));
          const told = await totalsOf(reader, { subscriptions: ["s0", "s1", "s2"] });
          await bringSideTablesUpToDate(outbox);
          assertEquals(await totalsOf(reader, { subscriptions: ["s0", "s1", "s2"] }), told);
          await outbox.release(claims);
          for (const [subscription, { pending }] of counts) {
            const all = await outbox.claim({ subscription, now: now + 9_000, limit: 1_000 });
            assertEquals(new Set(all.claims.map(({ delivery }) => delivery.id)).size, pending);
            assertEquals(all.claims.length, pending);
          }
        } finally {
          await outbox.close();
          await forget?.();
        }
      }),
      { numRuns: 30 },
    );
  });
}

/** Something that is asked of an outbox. */
export const anyStep = fc.record({
  act: fc.constantFrom(
    "enqueue",
    "claim",
    "deliver",
    "retry",
    "exhaust",
    "release",
    "cancel",
    "redeliver",
    "hasten",
    "prune",
    "shift",
    "replay",
    "step",
    "step",
  ),
  /** Which of those at hand. */
  pick: fc.nat(),
  /** Whether to wait for the answer before the next step. */
  waits: fc.boolean(),
});

export type Step = typeof anyStep extends fc.Arbitrary<infer Value> ? Value : never;

/** Answers the claims that were given, held yet or not, and what time it has become. */
export async function takeSteps(outbox: Outbox, steps: readonly Step[]) {
  const ids: string[] = [], claims: Claim[] = [], replays: Replay[] = [];
  const asked: Promise<unknown>[] = [];
  const health = new Map<string, Health>();
  let now = NOON;
  for (const { act, pick, waits } of steps) {
    now += 1_000;
    const asking = takeStep({ act, pick, now });
    asked.push(asking);
    if (waits) await asking;
  }
  await Promise.all(asked);
  return { claims, now };

  function record({ claim, attempt, verdict, at, ...rest }: Recording): Promise<boolean> {
    const { subscription } = claim.delivery;
    const facts = { succeeded: attempt.result === "success", outcome: attempt.outcome, at };
    const after = healthAfter(health.get(subscription) ?? UNTRIED, verdict, facts).health;
    health.set(subscription, after);
    return outbox.record({ claim, attempt, verdict, at, health: after, ...rest });
  }

  async function takeStep({ act, pick, now }: Pick<Step, "act" | "pick"> & { now: number }) {
    const id = ids[pick % ids.length] ?? "dlv_none";
    const claim = claims[pick % claims.length];
    switch (act) {
      case "enqueue": {
        const deliveries = Array.from(
          { length: pick % 3 },
          (_, i) => aDelivery({ subscription: `s${i}`, claim: pick % 2 === 0 }),
        );
        const answer = accepted(
          await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: now }),
        );
        ids.push(...answer.receipts[0]!.deliveries.map((delivery) => delivery.id));
        claims.push(...answer.claims);
        return;
      }
      case "claim":
        claims.push(
          ...(await outbox.claim({ subscription: `s${pick % 3}`, now, limit: 2 })).claims,
        );
        return;
      case "deliver":
        return claim && await record(delivered(claim, now));
      case "retry":
        return claim && await record(toRetry(claim, { at: now, dueAt: now + 1_500 }));
      case "exhaust":
        return claim && await record(exhausted(claim, now));
      case "release":
        return claim && await outbox.release([claim]);
      case "cancel":
        return await outbox.cancel([id], "enough", now);
      case "redeliver": {
        const again = await outbox.redeliver(id, now);
        if (again) ids.push(again.id);
        return;
      }
      case "hasten":
        return await outbox.hasten(id, now);
      case "prune":
        return await outbox.prune({ delivered: now - 3_000, exhausted: now - 6_000, limit: 3 });
      case "shift":
        return await outbox.shiftDue(now, 500);
      case "replay": {
        const filter = { since: NOON + pick % 9_000, until: now };
        replays.push(await outbox.startReplay({ filter, by: "ann", at: now }));
        return;
      }
      case "step": {
        const replay = replays[pick % replays.length];
        return replay && await outbox.stepReplay(replay.id, { limit: 1 + pick % 3, at: now });
      }
    }
  }
}

/** How many deliveries and events a batch takes, and whether there may be more. */
async function prunedRows(outbox: Outbox, request: PruneRequest) {
  const { deliveries, events, mayHaveMore } = await outbox.prune(request);
  return [deliveries, events, mayHaveMore];
}

/** After a step of the clock, side tables lack nothing: all that waits moves with it. */
function bringSideTablesUpToDate(outbox: Outbox): Promise<void> {
  return outbox.shiftDue(NOON, 0);
}

async function count(reader: OutboxReader): Promise<Map<string, Counts>> {
  const counts = new Map<string, { -readonly [state in keyof Counts]: number }>();
  const { items } = await reader.deliveries({ limit: 500 });
  for (const { subscription, state } of items.reverse()) {
    if (!counts.has(subscription)) counts.set(subscription, { ...NONE });
    counts.get(subscription)![state]++;
  }
  return counts;
}

const NONE: Counts = { pending: 0, delivered: 0, exhausted: 0, cancelled: 0 };

/** The id of a delivery that was created at that time and has finished 20 ms later. */
async function aFinished(
  outbox: Outbox,
  { at = NOON, type = "booking.created", subscription = "crm", cause = "event", ends = delivered }:
    {
      at?: number;
      type?: string;
      subscription?: string;
      cause?: "event" | "test" | "notice";
      ends?: typeof delivered;
    },
): Promise<string> {
  const deliveries = [aDelivery({ subscription, cause, claim: true })];
  const events = [aNewEvent({ event: anEvent({ type }), deliveries })];
  const [claim] = accepted(await outbox.enqueue({ events, at })).claims;
  await outbox.record(ends(claim!, at + 20));
  return claim!.delivery.id;
}

/** Carries a replay out to its end; answers how many it has sent. */
async function replayAll(
  outbox: Outbox,
  filter: Replay["filter"],
  at: number,
): Promise<number> {
  const { id, total } = await outbox.startReplay({ filter, by: "ann", at });
  while (!(await outbox.stepReplay(id, { limit: 2, at })).finished);
  return total;
}

/** Newest first. */
async function redeliveries(reader: OutboxReader): Promise<Delivery[]> {
  const { items } = await reader.deliveries({ limit: 500 });
  return items.filter(({ cause }) => cause === "redelivery");
}

function anEntry(overrides: Partial<HistoryEntry> = {}): HistoryEntry {
  return { at: NOON, kind: "reloaded", cause: "added: crm", ...overrides };
}

/** The claim of a new delivery for "crm". */
async function aClaim(outbox: Outbox, event: Parameters<typeof anEvent>[0] = {}): Promise<Claim> {
  const deliveries = [aDelivery({ claim: true })];
  const events = [aNewEvent({ event: anEvent(event), deliveries })];
  return accepted(await outbox.enqueue({ events, at: NOON })).claims[0]!;
}

function aNotice(type = "delivery.exhausted") {
  const deliveries = [aDelivery({ subscription: "!operator", cause: "notice" })];
  return aNewEvent({ event: anEvent({ type }), deliveries });
}

function createdAt({ delivery }: Claim): number {
  return delivery.createdAt;
}
