import { assertEquals, assertStringIncludes } from "@std/assert";
import { DatabaseSync } from "node:sqlite";
import { gzipSync } from "node:zlib";
import { auditDatabase } from "../../src/outbox/sqlite/audit.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon } from "../support/a_daemon.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { type Reply, startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";

/** The first attempt to a receiver with this reply, as shown by the API and the dashboard. */
async function firstAttempt(reply: Reply) {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/bellhook.db`;
  await using receiver = startRawServer(reply);
  const config = aConfig({
    subscriptions: [
      aSubscription({ url: receiver.url, allowHttp: true, allowNetworks: ["127.0.0.0/8"] }),
    ],
  });
  const daemon = await aDaemon({ ...config, storage: { ...config.storage, path } });
  const { body } = await daemon.call("POST", "/v1/events", { type: "t", data: {} });
  const { id } = body.deliveries[0];
  const delivery = await until(async () => {
    const { body } = await daemon.call("GET", `/v1/deliveries/${id}`);
    return body.attempts.length > 0 && body;
  });
  const page = (await daemon.call("GET", `/dashboard/deliveries/${id}`)).body as string;
  await daemon.stop();
  const db = new DatabaseSync(path, { readOnly: true });
  assertEquals(auditDatabase(db).faults, []);
  db.close();
  await Deno.remove(folder, { recursive: true });
  return { delivery, attempt: delivery.attempts[0], page };
}

Deno.test("story: an answer whose body breaks off is a failure, and its received part is stored", async () => {
  const { delivery, attempt, page } = await firstAttempt({
    raw: ["HTTP/1.1 200 OK\r\nX-Trace: 7\r\nContent-Length: 9\r\n\r\nhalf"],
    close: true,
  });
  assertEquals(delivery.state, "pending");
  const { result, status, error, response } = attempt;
  assertEquals([result, status, error.kind], ["failure", 200, "reset"]);
  assertStringIncludes(error.message, "amid the response body");
  assertEquals([response.body, response.truncated, response.headers["X-Trace"]], [
    "half",
    true,
    "7",
  ]);
  assertStringIncludes(page, "Broken off");
  assertStringIncludes(page, "200, reset");
});

Deno.test("story: a compressed answer is stored decompressed", async () => {
  const headers = [["Content-Encoding", "gzip"]] as const;
  const body = new Uint8Array(gzipSync('{"error":"no such room"}'));
  const { attempt } = await firstAttempt({ status: 500, headers, body });
  assertEquals([attempt.status, attempt.response.body], [500, '{"error":"no such room"}']);
  assertEquals(attempt.response.note, undefined);
});

Deno.test("story: an answer that is wrongly declared as compressed is stored unchanged, with a note", async () => {
  const headers = [["Content-Encoding", "gzip"]] as const;
  const { attempt, page } = await firstAttempt({ status: 500, headers, body: "plain after all" });
  assertEquals(attempt.response.body, "plain after all");
  assertStringIncludes(attempt.response.note, 'compressed with "gzip"');
  assertStringIncludes(page, "be unpacked");
});
