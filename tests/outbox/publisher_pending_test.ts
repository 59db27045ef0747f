import { assert, assertEquals } from "@std/assert";
import { FEW_PENDING } from "../../src/outbox/sqlite/publisher_pending.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { cpuMs } from "../support/cpu_time.ts";
import { until } from "../support/until.ts";
import { accepted, aDelivery, aNewEvent, delivered, NOON } from "./building.ts";

Deno.test("a publisher's pending: a large backlog is counted in slices, while it changes", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/outbox.db`;
  const most = 10 * FEW_PENDING;
  let outbox = await openSqliteOutbox(path);
  const post = (count: number, quota?: number) =>
    outbox.enqueue({
      events: Array.from({ length: count }, (_, index) =>
        aNewEvent({
          publisher: index % 3 === 0 ? "shop" : "pms",
          deliveries: [aDelivery({ claim: true })],
        })),
      ...(quota !== undefined && { quota: { publisher: "pms", most: quota } }),
      at: NOON,
    });
  /** What the quota says, by a request that is far too large for it. */
  const counted = async () => {
    const answer = await post(3, 1);
    return answer.kind === "tooManyPending" ? answer.pending : undefined;
  };
  const backlog = accepted(await post(2 * FEW_PENDING));
  const claims = backlog.claims.filter((_, index) => index % 3 !== 0);
  let pending = claims.length;
  // It begins to count, and goes on while deliveries end, those counted and those not, and others come.
  pending += accepted(await post(3, most)).claims.length - 1;
  for (let round = 0; round < 20; round++) {
    const ending = [claims.shift()!, claims.pop()!];
    await Promise.all(ending.map((claim) => outbox.record(delivered(claim, NOON))));
    pending -= ending.length;
    pending += accepted(await post(3, most)).claims.length - 1;
  }
  await until(async () => await counted() === pending, `all ${pending} are counted`);
  await post(3);
  pending += 2;
  assertEquals(await counted(), pending);
  await outbox.close();

  outbox = await openSqliteOutbox(path);
  const startedMs = cpuMs();
  assertEquals(await counted(), pending);
  assert(cpuMs() - startedMs < 1_000, "it was counted again");
  await outbox.close();
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a publisher's pending: what ends and is pruned in one commit is pending no more", async () => {
  const outbox = await openSqliteOutbox(":memory:");
  const post = () =>
    outbox.enqueue({
      events: [aNewEvent({ publisher: "pms", deliveries: [aDelivery({ claim: true })] })],
      quota: { publisher: "pms", most: 1 },
      at: NOON,
    });
  for (let round = 0; round < 2; round++) {
    const { claims } = accepted(await post());
    await Promise.all([
      outbox.record(delivered(claims[0]!, NOON)),
      outbox.prune({ delivered: NOON + 1, exhausted: NOON + 1, limit: 64 }),
    ]);
  }
  assertEquals((await post()).kind, "accepted");
  await outbox.close();
});
