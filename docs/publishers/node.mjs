// Node 22.5 or newer, no packages. With PostgreSQL, only the SQL's placeholders change.
import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";

/** Call it in the transaction that changes your own tables. */
export function addEvent(db, { type, data, scope = {}, id = randomUUID() }) {
  // The whole event is fixed here: a repeat must have the same content as the first post.
  const event = { id, type, timestamp: new Date().toISOString(), scope, data };
  db.prepare("insert into bellhook_outbox (event_id, body) values (?, ?)")
    .run(id, JSON.stringify(event));
}

/** What an order looks like in your application: both rows, or neither. */
export function placeOrder(db, order) {
  db.exec("begin immediate");
  try {
    db.prepare("insert into orders (id, total) values (?, ?)").run(order.id, order.total);
    addEvent(db, { type: "booking.created", data: order, id: `order-${order.id}-created` });
    db.exec("commit");
  } catch (error) {
    db.exec("rollback");
    throw error;
  }
}

/** Posts one event. Answers "stored", "refused" with why, or "later" with the seconds to wait. */
export async function post(body, { url, token }) {
  try {
    const response = await fetch(`${url}/v1/events`, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      body,
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    // 202 is new, 200 is a repeat that Bellhook has already.
    if (response.status === 202 || response.status === 200) return { result: "stored" };
    // The event itself is at fault; repeating it can't help.
    if ([400, 409, 413, 422].includes(response.status)) return { result: "refused", why: text };
    // 429 and 503 say when to come back. A wrong token (401, 403) waits for you to correct it.
    return { result: "later", seconds: Number(response.headers.get("Retry-After")) || undefined };
  } catch {
    return { result: "later" }; // nobody there, or cut off: it may be stored, so post it again
  }
}

/** Posts what waits, oldest first. Run one relay; `signal` stops it. */
export async function relay(db, { url, token, signal, untilEmpty = false }) {
  const oldest = db.prepare(
    "select id, body from bellhook_outbox where posted_at is null and refused is null order by id limit 1",
  );
  const posted = db.prepare(
    "update bellhook_outbox set posted_at = current_timestamp where id = ?",
  );
  const refused = db.prepare("update bellhook_outbox set refused = ? where id = ?");
  let pause = 1;
  while (!signal?.aborted) {
    const row = oldest.get();
    if (!row && untilEmpty) return;
    if (!row) {
      await sleep(500);
      continue;
    }
    const { result, why, seconds } = await post(row.body, { url, token });
    // A crash right here is harmless: the next start posts the same id again, and gets 200.
    if (result === "stored") posted.run(row.id);
    if (result === "refused") refused.run(why, row.id); // alert somebody
    if (result === "later") {
      await sleep((seconds ?? pause) * 1000);
      pause = Math.min(pause * 2, 60);
    } else pause = 1;
  }
}
