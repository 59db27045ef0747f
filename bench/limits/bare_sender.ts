import { createHmac } from "node:crypto";
import { Agent, request } from "undici";
import { eventText } from "../load/event.ts";
import { serveCommands } from "../processes/helper.ts";

export type SenderCommands = {
  /** Posts signed events as fast as they are answered; returns the rate per second. */
  send(order: SendOrder): Promise<number>;
};

interface SendOrder {
  readonly url: string;
  readonly secret: string;
  readonly connections: number;
  readonly seconds: number;
}

let seq = 0;

async function send(
  { url, secret, connections, seconds }: SendOrder,
): Promise<number> {
  const key = Uint8Array.fromBase64(secret.replace(/^whsec_/, ""));
  const dispatcher = new Agent({ connections });
  const startedAt = performance.now();
  let sent = 0;
  async function keepSending() {
    while (performance.now() - startedAt < seconds * 1_000) {
      const id = `evt_${++seq}`;
      const body = eventText(seq, 1);
      const signature = createHmac("sha256", key).update(`${id}.1.${body}`)
        .digest("base64");
      const response = await request(url, {
        method: "POST",
        body,
        dispatcher,
        headers: {
          "content-type": "application/json",
          "webhook-id": id,
          "webhook-timestamp": "1",
          "webhook-signature": `v1,${signature}`,
        },
      });
      await response.body.text();
      sent++;
    }
  }
  await Promise.all(Array.from({ length: connections }, keepSending));
  const took = performance.now() - startedAt;
  await dispatcher.close();
  return sent / took * 1_000;
}

await serveCommands({ send } satisfies SenderCommands);
