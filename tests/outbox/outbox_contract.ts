import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import fc from "fast-check";
import type { Attempt } from "../../src/domain/attempt.ts";
import type { Claim, Outbox, OutboxReader } from "../../src/outbox/outbox.ts";
import { InvalidCursorError, OutboxUnavailable } from "../../src/outbox/outbox.ts";
import {
  accepted,
  aDelivery,
  aHash,
  anAttempt,
  anEvent,
  aNewEvent,
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
      notices: [aNotice()],
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
      outbox.record({ ...exhausted(second, NOON + 20), health, notices: [aNotice()] }),
    ]);
    assertEquals(await reader.health(), new Map([["crm", health]]));
    const { claims } = await outbox.claim({ subscription: "!operator", now: NOON + 20, limit: 1 });
    assertEquals(claims.map(({ event }) => event.type), ["delivery.exhausted"]);
  });

  story("cancel() ends a claimed delivery, and its late record changes nothing", async ({
    outbox,
    reader,
  }) => {
    const claim = await aClaim(outbox);
    const { id } = claim.delivery;
    assertEquals(await outbox.cancel([id, id, "dlv_none"], "wrong customer", NOON + 1), 1);
    assertEquals(await outbox.record(delivered(claim, NOON + 20)), false);
    const stored = await reader.delivery(id);
    assertEquals([stored?.state, stored?.reason, stored?.attemptCount], [
      "cancelled",
      "wrong customer",
      0,
    ]);
    assertEquals(await reader.pending(), new Map());
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

  story("nextDue() tells of each subscription with something unclaimed", async ({ outbox }) => {
    await aClaim(outbox);
    const deliveries = [aDelivery({ subscription: "a" }), aDelivery({ subscription: "b" })];
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON + 5 });
    await outbox.enqueue({ events: [aNewEvent({ deliveries })], at: NOON + 9 });
    await outbox.claim({ subscription: "b", now: NOON + 5, limit: 1 });
    assertEquals(await outbox.nextDue(), new Map([["a", NOON + 5], ["b", NOON + 9]]));
  });

  story("setHealth() is kept until the next", async ({ outbox, reader }) => {
    await outbox.setHealth("crm", { consecutiveFailures: 1, pausedAt: NOON });
    await outbox.setHealth("crm", { consecutiveFailures: 0 });
    assertEquals(await reader.health(), new Map([["crm", { consecutiveFailures: 0 }]]));
  });

  story(
    "prune() takes finished deliveries past their time, in bites",
    async ({ outbox, reader }) => {
      for (let i = 0; i < 5; i++) await outbox.record(delivered(await aClaim(outbox), NOON + i));
      await outbox.record(exhausted(await aClaim(outbox), NOON));
      const pending = await aClaim(outbox);
      await outbox.enqueue({ events: [aNewEvent({ deliveries: [] })], at: NOON });
      const before = { delivered: NOON + 4, exhausted: NOON, limit: 3 };
      const bites = [await outbox.prune(before), await outbox.prune(before)];
      assertEquals(bites, [{ deliveries: 3, events: 3 }, { deliveries: 1, events: 2 }]);
      assertEquals(await outbox.prune(before), { deliveries: 0, events: 0 });
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
    assertEquals(await outbox.prune(before), { deliveries: 1, events: 0 });
    assertEquals((await reader.event(claim!.event.id))?.id, claim!.event.id);
    await outbox.cancel([answer.receipts[0]!.deliveries[1]!.id], "enough", NOON + 2);
    assertEquals(await outbox.prune(before), { deliveries: 1, events: 1 });
  });

  story("prune() lets an Idempotency-Key be used anew after its time", async ({ outbox }) => {
    const idempotency = { key: aHash(7), content: aHash(1) };
    await outbox.enqueue({ events: [aNewEvent()], idempotency, at: NOON });
    await outbox.prune({ delivered: NOON + 1, exhausted: NOON + 1, limit: 9 });
    const other = { key: aHash(7), content: aHash(2) };
    const answer = await outbox.enqueue({ events: [aNewEvent()], idempotency: other, at: NOON });
    assertEquals(answer.kind, "accepted");
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
      const { items, next } = await reader.deliveries({ ...filter, limit: 1 });
      assertEquals(items.map(({ id }) => id), [special.delivery.id], JSON.stringify(filter));
      assertEquals(next, undefined);
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
          await takeSteps(outbox, steps);
          assertEquals((await reader.audit()).faults, []);
          assertEquals(await reader.pending(), await countPending(reader));
        } finally {
          await outbox.close();
          await forget?.();
        }
      }),
      { numRuns: 30 },
    );
  });
}

const anyStep = fc.record({
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
  ),
  /** Which of those at hand. */
  pick: fc.nat(),
  /** Whether to wait for the answer before the next step. */
  waits: fc.boolean(),
});

type Step = typeof anyStep extends fc.Arbitrary<infer Value> ? Value : never;

async function takeSteps(outbox: Outbox, steps: readonly Step[]): Promise<void> {
  const ids: string[] = [], claims: Claim[] = [], asked: Promise<unknown>[] = [];
  let now = NOON;
  for (const { act, pick, waits } of steps) {
    now += 1_000;
    const asking = takeStep({ act, pick, now });
    asked.push(asking);
    if (waits) await asking;
  }
  await Promise.all(asked);

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
        return claim && await outbox.record(delivered(claim, now));
      case "retry":
        return claim && await outbox.record(toRetry(claim, { at: now, dueAt: now + 1_500 }));
      case "exhaust":
        return claim && await outbox.record(exhausted(claim, now));
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
    }
  }
}

async function countPending(reader: OutboxReader): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const { items } = await reader.deliveries({ state: "pending", limit: 500 });
  for (const { subscription } of items) {
    counts.set(subscription, (counts.get(subscription) ?? 0) + 1);
  }
  return counts;
}

/** The claim of a fresh delivery for "crm". */
async function aClaim(outbox: Outbox, event: Parameters<typeof anEvent>[0] = {}): Promise<Claim> {
  const deliveries = [aDelivery({ claim: true })];
  const events = [aNewEvent({ event: anEvent(event), deliveries })];
  return accepted(await outbox.enqueue({ events, at: NOON })).claims[0]!;
}

function aNotice() {
  const deliveries = [aDelivery({ subscription: "!operator", cause: "notice" })];
  return aNewEvent({ event: anEvent({ type: "delivery.exhausted" }), deliveries });
}

function createdAt({ delivery }: Claim): number {
  return delivery.createdAt;
}
