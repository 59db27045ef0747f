/** A process that stores events in the database it is given and says which are stored, until killed. */
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { aDelivery, anEvent, aNewEvent, delivered, NOON } from "./building.ts";

const outbox = await openSqliteOutbox(Deno.args[0]!);
console.log("open");
for (let i = 0;;) {
  const batch = Array.from({ length: 20 }, () => enqueueAndDeliver(`own_${i++}`));
  for (const id of await Promise.all(batch)) console.log(id);
}

/** Half of them are attempted as well. */
async function enqueueAndDeliver(id: string): Promise<string> {
  const deliveries = [aDelivery({ claim: id.length % 2 === 0 })];
  const incoming = aNewEvent({ event: anEvent({ id }), deliveries });
  const answer = await outbox.enqueue({ events: [incoming], at: NOON });
  if (answer.kind !== "accepted") throw new Error(answer.kind);
  for (const claim of answer.claims) await outbox.record(delivered(claim, NOON + 20));
  return id;
}
