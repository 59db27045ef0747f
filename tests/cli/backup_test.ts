import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { bellhook, freePort, serve } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aDirectory, finish } from "./captured.ts";

Deno.test("backup: without a database, or over a file, nothing is written", async () => {
  await using directory = await aDirectory({ "config.json": "{}", "mine.db": "mine" });
  const file = `${directory.path}/config.json`;
  const mine = `${directory.path}/mine.db`;
  assertEquals((await finish(["backup", `${directory.path}/b.db`, "-c", file])).exitCode, 3);
  await Deno.writeTextFile(`${directory.path}/bellhook.db`, "");
  const { exitCode, stderr } = await finish(["backup", mine, "-c", file]);
  assertEquals(exitCode, 1);
  assertStringIncludes(stderr, "bellhook.db");
  assertEquals(await Deno.readTextFile(mine), "mine");
});

Deno.test("story: a backup of a daemon under load delivers the rest from another folder", async () => {
  const arrived = new Set<string>();
  let open = false;
  await using receiver = startRawServer((request) => {
    if (!open) return { status: 503 };
    arrived.add(request.header("webhook-id")!);
    return {};
  });
  const port = freePort();
  const config = JSON.stringify({
    server: { listen: `127.0.0.1:${port}` },
    subscriptions: [{
      id: "app",
      url: receiver.url,
      events: ["*"],
      secret: { file: "secret" },
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
      retry: Array(50).fill("1s"),
      jitter: 0,
    }],
  });
  const secret = `whsec_${btoa("x".repeat(32))}\n`;
  await using first = await aDirectory({ "config.json": config, secret });
  await using second = await aDirectory({ "config.json": config, secret });

  const daemon = await serve(first.path, port);
  const accepted: string[] = [];
  const load = new AbortController();
  let number = 0;
  const publish = async () => {
    while (!load.signal.aborted) {
      const id = `ev-${++number}`;
      const response = await fetch(`http://127.0.0.1:${port}/v1/events`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ id, type: "t", data: { number } }),
      });
      await response.body?.cancel();
      if (response.status === 202) accepted.push(id);
    }
  };
  // They end with the daemon.
  const publishing = Promise.allSettled(Array.from({ length: 8 }, publish));
  await until(() => accepted.length >= 50);
  const before = [...accepted];
  const copy = `${second.path}/bellhook.db`;
  const { code, stdout, stderr } = await bellhook(first.path, "backup", copy, "--json");
  assertEquals(code, 0, stderr);
  const report = JSON.parse(stdout);
  assert(report.events >= before.length, stdout);
  assertEquals(report.faults, []);
  daemon.kill("SIGKILL");
  await daemon.status;
  load.abort();
  await publishing;

  open = true;
  const restored = await serve(second.path, port);
  await until(
    () => arrived.size >= report.events && before.every((id) => arrived.has(id)),
    "the rest is delivered",
  );
  restored.kill("SIGTERM");
  assertEquals((await restored.status).code, 0);
  assertEquals((await bellhook(second.path, "audit")).code, 0);
});
