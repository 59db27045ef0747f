/** What nobody reads holds nothing up: a log by a supervisor that hangs, a notice by a command. */
import { assert, assertEquals } from "@std/assert";
import { freePort } from "../support/processes.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aDirectory } from "./captured.ts";

Deno.test("serve: takes events, delivers and stops cleanly while nobody reads its log", async () => {
  await using receiver = startRawServer();
  await using daemon = await serveUnread(receiver.url);
  // Each is a line of some 200 bytes, and a pipe holds 64 KiB.
  for (let round = 1; round <= 4; round++) {
    assertEquals(await daemon.post(300), 202);
    await until(() => receiver.requests.length === round * 300, "all is delivered");
  }
  assertEquals(await daemon.stop(), 0);
});

Deno.test("serve: what of its log nobody reads is dropped, counted, and told to whoever reads again", async () => {
  await using receiver = startRawServer();
  await using daemon = await serveUnread(receiver.url);
  // Each is a line of some 200 bytes; a pipe holds 64 KiB, and what waits for it 1 MiB.
  const dropped = async () => {
    assertEquals(await daemon.post(500), 202);
    const metrics = await daemon.call("GET", "/metrics");
    return Number(/^bellhook_log_lines_dropped_total (\d+)$/m.exec(metrics)?.[1]);
  };
  const lines = await until(async () => await dropped() || undefined, "lines are dropped");
  const log = new Response(daemon.process.stderr).text();
  await until(async () => {
    await daemon.post(1);
    return await daemon.call("GET", "/-/ready");
  });
  assertEquals(await daemon.stop(), 0);
  const text = await log;
  const told = [...text.matchAll(/msg="(\d+) lines? w\w+ dropped because nobody read the log"/g)];
  assert(Number(told[0]?.[1]) >= lines, `${lines} were dropped: ${told.map(([line]) => line)}`);
  assert(text.trimEnd().split("\n").at(-1)!.includes("msg=stopped"), "the last line gets out");
});

Deno.test("serve: stops while what a command started still holds a notice that it never read", async () => {
  await using receiver = startRawServer();
  const file = await Deno.makeTempFile();
  // A process in the background has the input of /dev/null, unless it is handed on by another number.
  const script = 'exec 3<&0; sleep 600 <&3 > /dev/null 2>&1 & echo $! > "$0"';
  const command = ["sh", "-c", script, file];
  await using daemon = await serveUnread(receiver.url, [{ command, on: ["config.rejected"] }]);
  await daemon.spoilConfig();
  await daemon.call("POST", "/-/reload");
  const pid = await until(async () => Number(await Deno.readTextFile(file)), "it runs");
  assertEquals(await daemon.stop(), 0);
  Deno.kill(pid, "SIGKILL");
  await Deno.remove(file);
});

/** A real daemon with a pipe for its log, which is not read. */
async function serveUnread(receiver: string, notify: readonly unknown[] = []) {
  const directory = await aDirectory();
  const port = freePort();
  const url = `http://127.0.0.1:${port}`;
  const path = `${directory.path}/config.json`;
  const config = {
    server: { listen: `127.0.0.1:${port}`, shutdownGrace: "2s" },
    notify,
    subscriptions: [{
      id: "all",
      url: receiver,
      events: ["*"],
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
    }],
  };
  await Deno.writeTextFile(path, JSON.stringify(config));
  const rights = ["net", "read", "write", "env", "sys", "run"].map((name) => `--allow-${name}`);
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", ...rights, "main.ts", "-c", path, "serve"],
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const call = async (method: string, path: string, body?: unknown) => {
    const response = await fetch(`${url}${path}`, {
      method,
      ...(body === undefined ? {} : {
        headers: { "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
      signal: AbortSignal.timeout(120_000),
    });
    const text = await response.text();
    return path === "/v1/events" ? String(response.status) : text;
  };
  const isReady = () => call("GET", "/-/ready").then((text) => text.includes("ready"), () => false);
  await until(isReady, "the daemon is ready");
  return {
    process,
    call,
    async post(count: number) {
      const events = Array.from({ length: count }, (_, n) => ({ type: "t", data: n }));
      return Number(await call("POST", "/v1/events", events));
    },
    /** From here on each reload logs a line as long as hundreds of others. */
    async spoilConfig() {
      const unknown = Array.from({ length: 1_000 }, (_, n) => [`unknown${"x".repeat(80)}${n}`, n]);
      await Deno.writeTextFile(path, JSON.stringify({ ...config, ...Object.fromEntries(unknown) }));
    },
    /** Its exit code, if it ends soon. */
    async stop() {
      let code: number | undefined;
      process.kill("SIGTERM");
      void process.status.then((status) => code = status.code);
      await until(() => code !== undefined, "it stops");
      return code;
    },
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await process.status;
      if (!process.stderr.locked) await process.stderr.cancel();
      await directory[Symbol.asyncDispose]();
    },
  };
}
