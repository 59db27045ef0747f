import { DatabaseSync } from "node:sqlite";
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { startHostileServer } from "../hostile/hostile_server.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startRawServer } from "../support/raw_server.ts";
import { until } from "../support/until.ts";
import { aDirectory, finish, start } from "./captured.ts";

/** A config without receivers, on any free port. */
const CONFIG = JSON.stringify({ server: { listen: "127.0.0.1:0" }, subscriptions: [] });

function serving(file: string, clock?: FakeClock) {
  const daemon = start(["serve", "-c", file], clock ? { clock } : {});
  const url = until(() => /url=(http:\S+)/.exec(daemon.stderr)?.[1], "the daemon is ready");
  return { daemon, url };
}

Deno.test("serve: takes events, and each of the two signals stops it with exit code 0", async () => {
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    await using directory = await aDirectory({ "config.json": CONFIG });
    const file = `${directory.path}/config.json`;
    const { daemon, url } = serving(file);
    const sent = await finish(["send", "booking.created", "--url", await url]);
    assertEquals(sent.exitCode, 0, sent.stderr);
    assertStringIncludes(sent.stderr, "no subscription gets it");

    const whileUp = await finish(["audit", "--json", "-c", file]);
    assertEquals([whileUp.exitCode, JSON.parse(whileUp.stdout).events], [0, 1]);

    daemon.signal(signal);
    daemon.signal(signal);
    assertEquals(await daemon.exit, 0);
    assertEquals(daemon.stdout, "");

    const afterwards = await finish(["audit", "-c", file]);
    assertEquals(afterwards.exitCode, 0);
    assertMatch(afterwards.stdout, /^events +1$/m);
    assertMatch(afterwards.stdout, /^faults +0$/m);
  }
});

/** A config with one receiver, which has as long as it likes, and a grace. */
function withReceiver(url: string, server: Record<string, string>): string {
  return JSON.stringify({
    server: { listen: "127.0.0.1:0", ...server },
    subscriptions: [{
      id: "guest-app",
      url,
      events: ["*"],
      timeout: "1h",
      allowHttp: true,
      allowNetworks: ["127.0.0.0/8"],
    }],
  });
}

Deno.test("serve: a second signal waits for no attempt any more, and loses none", async () => {
  await using receiver = await startHostileServer((peer) => peer.gone());
  await using directory = await aDirectory({
    "config.json": withReceiver(receiver.url, { shutdownGrace: "1h" }),
  });
  const file = `${directory.path}/config.json`;
  const clock = new FakeClock();
  const { daemon, url } = serving(file, clock);
  assertEquals((await finish(["send", "booking.created", "--url", await url])).exitCode, 0);
  await until(() => receiver.connectionCount > 0, "the attempt is under way");
  daemon.signal("SIGTERM");
  await until(() => daemon.stderr.includes("stopping"), "it says that it stops");
  clock.advance(501);
  daemon.signal("SIGTERM");
  assertEquals(await daemon.exit, 0);
  const { stdout } = await finish(["audit", "--json", "-c", file]);
  assertEquals(JSON.parse(stdout).deliveries.pending, 1);
});

Deno.test("serve: two signals in the same moment are one, and the attempt under way has its grace", async () => {
  const answering = Promise.withResolvers<void>();
  await using receiver = startRawServer({ after: answering.promise });
  await using directory = await aDirectory({
    "config.json": withReceiver(receiver.url, { shutdownGrace: "10s" }),
  });
  const file = `${directory.path}/config.json`;
  const clock = new FakeClock();
  const { daemon, url } = serving(file, clock);
  assertEquals((await finish(["send", "booking.created", "--url", await url])).exitCode, 0);
  await receiver.received(1);
  daemon.signal("SIGINT");
  daemon.signal("SIGTERM");
  await until(() => daemon.stderr.includes("stopping"), "it says that it stops");
  clock.advance(500);
  daemon.signal("SIGTERM");
  answering.resolve();
  assertEquals(await daemon.exit, 0);
  const { stdout } = await finish(["audit", "--json", "-c", file]);
  const { deliveries, attempts } = JSON.parse(stdout);
  assertEquals([deliveries.delivered, deliveries.pending, attempts], [1, 0, 1]);
});

Deno.test("serve: a config with problems starts nothing", async () => {
  await using directory = await aDirectory({ "config.json": `{"subscriptons": []}` });
  const { exitCode, stdout, stderr } = await finish(
    ["serve", "-c", `${directory.path}/config.json`],
  );
  assertEquals([exitCode, stdout], [2, ""]);
  assertStringIncludes(stderr, "subscriptons");
});

Deno.test("serve: a second one on the same database names the first", async () => {
  await using directory = await aDirectory({ "config.json": CONFIG });
  const file = `${directory.path}/config.json`;
  const { daemon, url } = serving(file);
  await url;
  const second = await finish(["serve", "-c", file]);
  assertEquals(second.exitCode, 1);
  assertStringIncludes(second.stderr, `process ${Deno.pid}`);
  daemon.signal("SIGTERM");
  assertEquals(await daemon.exit, 0);
});

Deno.test("reload: says what changed, by command and by SIGHUP", async () => {
  await using directory = await aDirectory({ "config.json": CONFIG });
  const file = `${directory.path}/config.json`;
  const { daemon, url } = serving(file);
  const unchanged = await finish(["reload", "--url", await url]);
  assertEquals([unchanged.exitCode, unchanged.stdout], [0, ""]);
  assertEquals(unchanged.stderr, "nothing changed\n");

  await Deno.writeTextFile(file, `{"subscriptons": []}`);
  const rejected = await finish(["reload", "--url", await url]);
  assertEquals(rejected.exitCode, 2);
  assertStringIncludes(rejected.stderr, "subscriptons");

  const before = daemon.stderr.length;
  daemon.signal("SIGHUP");
  await until(() => daemon.stderr.slice(before).includes("config rejected"));
  daemon.signal("SIGTERM");
  assertEquals(await daemon.exit, 0);
});

Deno.test("dev --once: every sample of every profile is delivered and verified", async () => {
  const { exitCode, stdout, stderr } = await finish(["dev", "--once"]);
  assertEquals(exitCode, 0, stderr);
  assertMatch(stderr, /all \d+ samples were delivered and verified/);
  const profiles = ["standard", "bookingsync", "booking-experts", "bookingshake"];
  for (const profile of [...profiles, "bookingscheduler", "roostsync"]) {
    assertStringIncludes(stdout, profile);
  }
  assert(!stdout.includes("\x1b"));
});

Deno.test("audit: a row that breaks a promise is a fault, and exit code 1", async () => {
  await using directory = await aDirectory({ "config.json": CONFIG });
  const file = `${directory.path}/config.json`;
  const { daemon, url } = serving(file);
  await finish(["send", "booking.created", "--id", "lost", "--url", await url]);
  daemon.signal("SIGTERM");
  await daemon.exit;
  const database = new DatabaseSync(`${directory.path}/bellhook.db`);
  database.exec("update events set delivery_count = 1");
  database.close();
  const { exitCode, stdout } = await finish(["audit", "-c", file]);
  assertEquals(exitCode, 1);
  assertMatch(stdout, /^faults +1$/m);
  assertStringIncludes(stdout, `event "lost"`);
});

Deno.test("dev: stays until Ctrl-C, and takes events meanwhile", async () => {
  const dev = start(["dev", "--no-samples", "--json"]);
  const url = await until(() => /runs at (http:\S+),/.exec(dev.stderr)?.[1]);
  const sent = await finish(["send", "mine", "--scope", "sample_of=standard", "--url", url]);
  assertEquals(sent.exitCode, 0, sent.stderr);
  const line = await until(() => dev.stdout.split("\n")[0]);
  const { event, profile, verified } = JSON.parse(line);
  assertEquals({ event, profile, verified }, {
    event: "mine",
    profile: "standard",
    verified: true,
  });
  dev.signal("SIGINT");
  assertEquals(await dev.exit, 0);
});

Deno.test("serve: a process of its own answers, and ends with 0 on SIGTERM", async () => {
  await using directory = await aDirectory({
    "config.json": JSON.stringify({ server: { listen: `unix:bellhook.sock` }, subscriptions: [] }),
  });
  const file = `${directory.path}/config.json`;
  const main = new URL("../../main.ts", import.meta.url).pathname;
  await using process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", main, "serve", "-c", file],
    stdout: "null",
    stderr: "null",
  }).spawn();
  const sent = await until(async () => {
    const sent = await finish(["send", "booking.created", "-c", file]);
    return sent.exitCode === 4 ? undefined : sent;
  });
  assertEquals(sent.exitCode, 0, sent.stderr);
  process.kill("SIGTERM");
  assertEquals((await process.status).code, 0);
});

Deno.test({
  name: "serve: delivers and lives on where its log can't be written",
  ignore: Deno.build.os !== "linux", // for its /dev/full
  async fn() {
    await using receiver = startRawServer();
    await using directory = await aDirectory({
      "config.json": withReceiver(receiver.url, { listen: "unix:bellhook.sock" }),
    });
    const file = `${directory.path}/config.json`;
    const main = new URL("../../main.ts", import.meta.url).pathname;
    await using process = new Deno.Command("sh", {
      // exec: the signal below reaches the daemon itself.
      args: [
        ...["-c", `exec "$@" 2> /dev/full`, "sh", Deno.execPath(), "run", "-q", "-A", main],
        ...["serve", "-c", file],
      ],
      stdout: "null",
      stderr: "null",
    }).spawn();
    const sent = await until(async () => {
      const sent = await finish(["send", "booking.created", "-c", file]);
      return sent.exitCode === 4 ? undefined : sent;
    });
    assertEquals(sent.exitCode, 0, sent.stderr);
    await until(async () => {
      const { stdout } = await finish(["deliveries", "--state", "delivered", "--json", "-c", file]);
      return stdout !== "";
    }, "the event is delivered");
    process.kill("SIGTERM");
    assertEquals((await process.status).code, 0);
  },
});

Deno.test("dev: ends with its terminal, and once nobody reads what it prints", async () => {
  const left = start(["dev", "--no-samples"]);
  await until(() => left.stderr.includes("Ctrl-C ends it"), "it runs");
  left.signal("SIGHUP");
  assertEquals(await left.exit, 0);
  const unread = start(["dev"], { hasReader: () => false });
  assertEquals(await unread.exit, 0);
});

Deno.test("dev: a reload that changes nothing says so", async () => {
  const dev = start(["dev", "--no-samples"]);
  const url = await until(() => /runs at (http:\S+),/.exec(dev.stderr)?.[1], "it runs");
  const { exitCode, stdout, stderr } = await finish(["reload", "--url", url]);
  assertEquals([exitCode, stdout, stderr], [0, "", "nothing changed\n"]);
  dev.signal("SIGINT");
  assertEquals(await dev.exit, 0);
});

Deno.test("dev: leaves nothing behind", async () => {
  await using directory = await aDirectory();
  const main = new URL("../../main.ts", import.meta.url).pathname;
  await using process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", main, "dev"],
    env: { TMPDIR: directory.path },
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const output = process.stdout.getReader();
  await output.read(); // a first sample has arrived, so that everything runs
  assertEquals([...Deno.readDirSync(directory.path)].length, 1);
  process.kill("SIGINT");
  while (!(await output.read()).done);
  assertEquals((await process.status).code, 0);
  assertEquals([...Deno.readDirSync(directory.path)], []);
});

Deno.test("serve: where it cannot listen, the way out is told", async () => {
  await using directory = await aDirectory({ "notes.txt": "mine" });
  const { path } = directory;
  const told = async (listen: string) => {
    const config = {
      server: { listen },
      auth: { operators: [{ name: "ops", token: { env: "TOKEN" } }] },
    };
    await Deno.writeTextFile(`${path}/config.json`, JSON.stringify(config));
    const { exitCode, stderr } = await finish(["serve", "-c", `${path}/config.json`], {
      environment: { TOKEN: "a-token-of-some-length" },
    });
    assertEquals(exitCode, 1);
    return stderr.split("\n").findLast((line) => line.startsWith("bellhook: "));
  };
  assertEquals([
    await told("192.0.2.1:8420"),
    await told("bellhook.invalid:8420"),
    await told("unix:run/b.sock"),
    await told("unix:notes.txt/b.sock"),
  ], [
    "bellhook: can't listen on 192.0.2.1:8420: this machine has no such address. " +
    "Set server.listen to one that it has",
    `bellhook: can't listen on bellhook.invalid:8420: the name "bellhook.invalid" leads to no ` +
    "address. Set server.listen to an address of this machine",
    `bellhook: can't listen on unix:${path}/run/b.sock: there is no folder "${path}/run". ` +
    "Make it, or set server.listen to another path",
    `bellhook: can't listen on unix:${path}/notes.txt/b.sock: there is no folder ` +
    `"${path}/notes.txt". Make it, or set server.listen to another path`,
  ]);
});

Deno.test("serve: a file in the place of its socket is left alone", async () => {
  await using directory = await aDirectory({
    "config.json": JSON.stringify({ server: { listen: "unix:notes.txt" }, subscriptions: [] }),
    "notes.txt": "mine",
  });
  const { exitCode, stderr } = await finish(["serve", "-c", `${directory.path}/config.json`]);
  assertEquals(exitCode, 1);
  assertStringIncludes(stderr, "a file that is not a socket is there. Move it away");
  assertEquals(await Deno.readTextFile(`${directory.path}/notes.txt`), "mine");
});
