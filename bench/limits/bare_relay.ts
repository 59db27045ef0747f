import { createHmac } from "node:crypto";
import { Connection } from "../load/connection.ts";

// The minimum for a sender whose 202 means stored: accept an event, sync it to disk, answer, sign and
// post it. No subscription is looked up, no attempt recorded, no address checked.
const [port, receiver, secret, path] = Deno.args as [string, string, string, string];
const key = Uint8Array.fromBase64(secret.replace(/^whsec_/, ""));
const file = Deno.openSync(path, { create: true, read: true, write: true });
// Written beforehand, like a reused journal, so that no sync has to extend the file.
const RECORDS = 256, RECORD_BYTES = 4_096;
file.writeSync(new Uint8Array(RECORDS * RECORD_BYTES));
file.syncSync();
const page = new Uint8Array(RECORD_BYTES);
const encoder = new TextEncoder();
const idle: Connection[] = [];
let seq = 0;

Deno.serve({ hostname: "127.0.0.1", port: Number(port), onListen() {} }, async (request) => {
  if (request.method !== "POST") return new Response("ready");
  const text = await request.text();
  encoder.encodeInto(text, page);
  file.seekSync(++seq % RECORDS * RECORD_BYTES, Deno.SeekMode.Start);
  file.writeSync(page);
  await file.syncData();
  const id = `evt_${seq}`;
  void send(id, text);
  return Response.json({ id, deliveries: [] }, { status: 202 });
});

async function send(id: string, text: string): Promise<void> {
  const { type, data } = JSON.parse(text) as { type: string; data: unknown };
  const now = new Date();
  const body = JSON.stringify({ type, timestamp: now.toISOString(), data });
  const seconds = Math.floor(now.getTime() / 1_000);
  const signature = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  const connection = idle.pop() ?? await Connection.open(new URL(receiver));
  await connection.post(
    body,
    `webhook-id: ${id}\r\nwebhook-timestamp: ${seconds}\r\nwebhook-signature: v1,${signature}\r\n`,
  );
  idle.push(connection);
}
