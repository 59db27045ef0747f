import { DatabaseSync } from "node:sqlite";
import process from "node:process";

// The sample is copied beside it.
const { placeOrder, relay } = await import(new URL("sample.mjs", import.meta.url).href);

const [command, ...words] = process.argv.slice(2);
const db = new DatabaseSync(process.env.OUTBOX_DB);
if (command === "relay") {
  await relay(db, { url: words[0], token: process.env.BELLHOOK_TOKEN, untilEmpty: true });
} else {
  for (const word of words) {
    try {
      placeOrder(db, { id: Number(word), total: 60 });
    } catch {
      console.log(`${word} failed`);
    }
  }
}
