import { assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { Secret } from "../../src/domain/secret.ts";
import { BUILT_IN } from "../../src/profiles/table.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { until } from "../support/until.ts";

Deno.test("profile change: pending deliveries keep their body and signature, and a reload reports how many", async () => {
  const got: Headers[] = [];
  let status = 503;
  await using receiver = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    ({ headers }) => {
      got.push(headers);
      return new Response(null, { status });
    },
  );
  const withProfile = (name: string) =>
    aConfig({
      subscriptions: [aSubscription({
        id: "crm",
        profile: BUILT_IN.get(name)!,
        secret: new Secret("a shared secret"),
        url: `http://127.0.0.1:${receiver.addr.port}/`,
        allowHttp: true,
        allowNetworks: ["127.0.0.0/8"],
      })],
    });
  let config = withProfile("bookingsync");
  await using daemon = await aDaemon(config, {
    reload: () => Promise.resolve({ ok: true, config, warnings: [] }),
  });
  const { body } = await daemon.call("POST", "/v1/events", {
    type: "booking_created",
    scope: { account_id: 7, property_id: "p1" },
    data: { id: 1 },
  });
  const [{ id }] = body.deliveries;
  await until(async () => {
    const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
    return body.attemptCount === 1;
  });
  config = withProfile("roostsync");
  const dry = await daemon.call("POST", "/-/reload?dryRun=true");
  const reloaded = await daemon.call("POST", "/-/reload");
  for (const { body: report } of [dry, reloaded]) {
    assertEquals(report.warnings.length, 1);
    assertStringIncludes(report.warnings[0], "crm");
    assertStringIncludes(report.warnings[0], "1 pending delivery");
    assertStringIncludes(report.warnings[0], "bookingsync");
  }
  status = 200;
  await daemon.call("POST", `/v1/deliveries/${id}/retry`);
  await until(() => got.length === 2);
  await until(async () => {
    const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
    return body.state === "delivered";
  });
  const { body: delivery } = await daemon.call("GET", `/v1/deliveries/${id}`);
  const [first, second] = delivery.attempts.map((one: { request: unknown }) => one.request);
  assertEquals(first.body, second.body);
  const sent: string = second.body;
  const encoded = Buffer.from(sent).toString("base64").replace(/.{1,60}/g, "$&\n");
  const signature = createHmac("sha1", "a shared secret").update(encoded).digest("hex");
  const headers = got[1]!;
  assertEquals(headers.get("x-content-signature"), signature);
  assertEquals(headers.get("user-agent"), "BookingSync Webhook Delivery");
  assertEquals(headers.get("x-roostsync-signature"), null);
});
