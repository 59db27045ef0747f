import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { DENO_FLAGS } from "../../src/cli/program.ts";
import { upgradeReport } from "../../src/cli/upgrade_report.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { aConfig } from "../support/a_config.ts";
import { aDaemon, stopAtOnce } from "../support/a_daemon.ts";
import { writeLargeDatabase } from "../support/a_large_database.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";
import { aDirectory, finish } from "./captured.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const EAR = new URL("./hears_notices.ts", import.meta.url).pathname;

/** What a service manager hears, message by message. */
function ear(socket: string) {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", "--unstable-net", EAR, socket],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let heard = "";
  const ended = (async () => {
    for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) heard += text;
  })();
  return {
    get lines() {
      return heard.split("\n").slice(0, -1);
    },
    async [Symbol.asyncDispose]() {
      process.kill("SIGKILL");
      await Promise.all([process.status, ended]);
    },
  };
}

Deno.test({
  name: "serve: a service manager hears when it takes events, and when it is ending",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using directory = await aDirectory({
      "config.json": JSON.stringify({ server: { listen: "unix:bellhook.sock" } }),
    });
    const socket = `${directory.path}/notify`;
    await using manager = ear(socket);
    await until(() => manager.lines[0] === "listening", "the ear is open");
    const daemon = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", ...DENO_FLAGS, MAIN, "serve", "-c", `${directory.path}/config.json`],
      env: { NOTIFY_SOCKET: socket },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const ready = await until(() => manager.lines[1], "it is ready");
    const url = `unix:${directory.path}/bellhook.sock`;
    assertEquals(JSON.parse(ready), `READY=1\nSTATUS=serving at ${url}`);
    assertEquals((await finish(["status", "--url", url])).exitCode, 0);
    daemon.kill("SIGTERM");
    assertEquals((await daemon.status).code, 0);
    assertEquals(await until(() => manager.lines[2], "it is stopping"), `"STOPPING=1"`);
  },
});

Deno.test({
  name: "serve: a service manager gives it time while the database is brought up to date",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using directory = await aDirectory({
      "config.json": JSON.stringify({ server: { listen: "unix:bellhook.sock" } }),
    });
    writeLargeDatabase(`${directory.path}/bellhook.db`, { rows: 10, version: 2 });
    const socket = `${directory.path}/notify`;
    await using manager = ear(socket);
    await until(() => manager.lines[0] === "listening", "the ear is open");
    const daemon = new Deno.Command(Deno.execPath(), {
      args: ["run", "-q", ...DENO_FLAGS, MAIN, "serve", "-c", `${directory.path}/config.json`],
      env: { NOTIFY_SOCKET: socket },
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    await until(() => manager.lines.some((line) => line.includes("READY=1")), "it is ready");
    daemon.kill("SIGTERM");
    assertEquals((await daemon.status).code, 0);
    const readyAt = manager.lines.findIndex((line) => line.startsWith('"READY=1'));
    await until(() => manager.lines.length >= readyAt + 3, "it is stopping");
    // Once, or every five seconds that it takes.
    const upgrading = manager.lines.slice(1, readyAt);
    assert(upgrading.length >= 1);
    for (const line of upgrading) {
      assertMatch(line, /^"EXTEND_TIMEOUT_USEC=120000000\\nSTATUS=upgrading the database/);
    }
    assertEquals(manager.lines.slice(readyAt + 1), [
      `"STOPPING=1"`,
      `"EXTEND_TIMEOUT_USEC=50000000"`,
    ]);
  },
});

Deno.test("upgrade: the service manager is told every five seconds that it goes on", () => {
  const clock = new FakeClock();
  const told: unknown[] = [];
  const { onStep, end } = upgradeReport({
    clock,
    log: { ...silentLog, upgradeGoesOn: (step) => told.push(step) },
    manager: {
      ready() {},
      alive() {},
      working: (status, byMs) => told.push([status, byMs]),
      stopping() {},
      close() {},
    },
  });
  onStep({ doing: "copying", done: 1, total: 9 });
  onStep({ doing: "copying", done: 2, total: 9 });
  const goesOn = (doing: string) => [`upgrading the database: ${doing}`, 120_000];
  assertEquals(told.splice(0), [goesOn("copying")]);
  clock.advance(5_000);
  assertEquals(told.splice(0), [{ doing: "copying", done: 2, total: 9 }, goesOn("copying")]);
  onStep({ doing: "changing", done: 0, total: 3 });
  clock.advance(5_000);
  clock.advance(5_000);
  assertEquals(told.splice(0).length, 4);
  end();
  clock.advance(60_000);
  assertEquals(told, []);
});

Deno.test("watchdog: the scheduler is heard every ten seconds", async () => {
  const clock = new FakeClock();
  let beats = 0;
  await using daemon = await aDaemon(aConfig(), { clock, onBeat: () => beats++ });
  clock.advance(9_999);
  assertEquals(beats, 0);
  clock.advance(1);
  assertEquals(beats, 1);
  clock.advance(10_000);
  assertEquals(beats, 2);
  await stopAtOnce(daemon, clock);
});

Deno.test("install-service: the unit says how to start, watch and reload it", async () => {
  await using directory = await aDirectory({
    "config.json": JSON.stringify({
      storage: { url: "sqlite:/var/lib/bellhook/bellhook.db" },
      subscriptions: [{ id: "a", secret: { credential: "guests" } }],
    }),
  });
  const file = `${directory.path}/config.json`;
  const { exitCode, stdout } = await finish(["install-service", "--print", "-c", file]);
  assertEquals(exitCode, 0);
  assertMatch(stdout, /^Type=notify$/m);
  assertMatch(stdout, /^WatchdogSec=60$/m);
  assertMatch(stdout, /^ExecReload=\/bin\/kill -HUP \$MAINPID$/m);
  assertMatch(stdout, /^ExecStart=\S.* --unstable-net .*main\.ts serve -c .*config\.json$/m);
  assertMatch(stdout, /^LoadCredential=guests:.*\/secrets\/guests$/m);
  assertMatch(stdout, /^DynamicUser=yes$/m);
  assertEquals(/^MemoryDenyWriteExecute/m.test(stdout), false);
});

Deno.test("install-service: a database elsewhere is opened up to a user that stays", async () => {
  await using directory = await aDirectory({ "config.json": `{"subscriptions": []}` });
  const file = `${directory.path}/config.json`;
  const { stdout } = await finish(["install-service", "--print", "-c", file]);
  assertMatch(stdout, new RegExp(`^ReadWritePaths=${directory.path}$`, "m"));
  assertMatch(stdout, /^User=bellhook$/m);
  assertEquals(stdout.includes("DynamicUser"), false);
});

Deno.test("install-service: a folder's blanks and signs are spelled as systemd reads each line", async () => {
  await using directory = await aDirectory({});
  const folder = `${directory.path}/my bell $1 100%`;
  await Deno.mkdir(folder);
  const secret = '{"subscriptions": [{"secret": {"credential": "guests"}}]}';
  await Deno.writeTextFile(`${folder}/config.json`, secret);
  const { stdout } = await finish(["install-service", "--print", "-c", `${folder}/config.json`]);
  const spelled = `${directory.path}/my bell $1 100%%`;
  assertStringIncludes(stdout, `\nWorkingDirectory=${spelled}\n`);
  assertStringIncludes(stdout, `\nReadWritePaths="${spelled}"\n`);
  assertStringIncludes(stdout, `\nEnvironmentFile=-${spelled}/environment\n`);
  assertStringIncludes(stdout, `\nLoadCredential=guests:${spelled}/secrets/guests\n`);
  assertStringIncludes(stdout, ` -c "${spelled.replace("$1", () => "$$1")}/config.json"\n`);
});

Deno.test("install-service: a unit that is there stays as it is", async () => {
  await using directory = await aDirectory({ "config.json": "{}" });
  const unit = `${directory.path}/bellhook.service`;
  const args = ["install-service", "-c", `${directory.path}/config.json`, "--unit", unit];
  assertEquals((await finish(args)).exitCode, 0);
  const written = await Deno.readTextFile(unit);
  assertStringIncludes(written, "[Install]");
  const again = await finish(args);
  assertEquals(again.exitCode, 1);
  assertStringIncludes(again.stderr, "already");
  assertEquals(await Deno.readTextFile(unit), written);
});

Deno.test({
  name: "install-service: systemd finds nothing wrong with the unit, and rates it OK",
  ignore: !await hasAnalyze(),
  async fn() {
    await using directory = await aDirectory();
    const unit = `${directory.path}/bellhook.service`;
    const { stdout } = await finish(["install-service", "--print"]);
    await Deno.writeTextFile(unit, stdout);
    const { code, stdout: report, stderr } = await new Deno.Command("systemd-analyze", {
      args: ["security", "--offline=true", "--threshold=49", "--no-pager", unit],
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
    assertEquals([code, text(stderr)], [0, ""]);
    assertMatch(text(report), /Overall exposure level for bellhook\.service: \d\.\d OK/);
    const verified = await new Deno.Command("systemd-analyze", { args: ["verify", unit] }).output();
    // A page that isn't installed here is no fault of the unit.
    const faults = text(verified.stderr).split("\n").filter((line) =>
      line.includes("bellhook.service") && !line.includes("man bellhook(1)")
    );
    assertEquals(faults, []);
    assert(verified.success || text(verified.stderr).includes("man bellhook(1)"));
  },
});

async function hasAnalyze(): Promise<boolean> {
  try {
    const { success, stdout } = await new Deno.Command("systemd-analyze", {
      args: ["security", "--help"],
    }).output();
    return success && new TextDecoder().decode(stdout).includes("--offline");
  } catch {
    return false;
  }
}
