/**
 * A process that stores events and says which are stored, until its disk fails. It then asks for
 * everything once more, says what it was answered, and ends with an error.
 */
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { aDelivery, anEvent, aNewEvent, delivered, NOON } from "./building.ts";

const outbox = await openSqliteOutbox(Deno.args[0]!);
const data = JSON.stringify("x".repeat(20_000));
try {
  for (let i = 0;;) {
    await Promise.all(Array.from({ length: 20 }, () => enqueueAndDeliver(`own_${i++}`)));
  }
} catch {
  const failure = await outbox.failed;
  const answers = await Promise.allSettled([
    enqueueAndDeliver("own_late"),
    outbox.noteSwitched(["crm"], NOON),
    outbox.claim({ subscription: "crm", now: NOON, limit: 1 }),
    outbox.event("own_1"),
  ]);
  console.log(`failed ${answers.map(({ status }) => status).join(" ")}`);
  console.log(`failed ${await outbox.unavailableBecause() === failure.message}`);
  await outbox.close();
  Deno.exit(1);
}

async function enqueueAndDeliver(id: string): Promise<void> {
  const incoming = aNewEvent({
    event: anEvent({ id, data }),
    deliveries: [aDelivery({ claim: true })],
  });
  const answer = await outbox.enqueue({ events: [incoming], at: NOON });
  if (answer.kind !== "accepted") throw new Error(answer.kind);
  console.log(`stored ${id}`);
  await outbox.record(delivered(answer.claims[0]!, NOON + 20));
  console.log(`delivered ${id}`);
}
