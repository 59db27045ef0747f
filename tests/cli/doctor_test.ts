import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { judgePace, judgeSync } from "../../src/cli/doctor/clock.ts";
import { judgeFsync, judgeJournal, judgeRoom } from "../../src/cli/doctor/disk.ts";
import { judgeMode } from "../../src/cli/doctor/files.ts";
import type { Finding } from "../../src/cli/doctor/finding.ts";
import { judgeOpenFiles } from "../../src/cli/doctor/limits.ts";
import { examineReceivers } from "../../src/cli/doctor/network.ts";
import { aSubscription } from "../support/a_subscription.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { startRawServer } from "../support/raw_server.ts";
import { aDirectory, finish, start } from "./captured.ts";
import { objectsOf } from "./a_house.ts";
import { until } from "../support/until.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** A config of one subscription that nothing is wrong with but what a test says. */
function config(overrides: Record<string, unknown> = {}): string {
  return JSON.stringify({
    server: { listen: "127.0.0.1:0" },
    subscriptions: [{
      id: "guests",
      url: "https://203.0.113.7/hooks",
      events: ["*"],
      secret: { file: "secret" },
      allowNetworks: ["203.0.113.0/24"],
    }],
    ...overrides,
  });
}

const SECRET = `whsec_${btoa("x".repeat(32))}\n`;

async function examine(files: Record<string, string>, prepare?: (folder: string) => Promise<void>) {
  await using directory = await aDirectory({ secret: SECRET, ...files });
  await Deno.chmod(`${directory.path}/secret`, 0o600);
  await prepare?.(directory.path);
  const ran = await finish(["doctor", "--json", "-c", `${directory.path}/config.json`]);
  const findings = objectsOf(ran.stdout) as Finding[];
  const left = [...Deno.readDirSync(directory.path)].map(({ name }) => name).sort();
  return { ...ran, left, of: (check: string) => findings.find((found) => found.check === check) };
}

Deno.test("doctor: a house in order is ok from top to bottom, and leaves nothing behind", async () => {
  const { exitCode, of, left } = await examine({ "config.json": config() });
  assertEquals(exitCode, 0);
  for (
    const check of ["config", "database", "disk room", "secret file", "listen", "receiver", "fsync"]
  ) {
    assert(of(check), check);
  }
  for (const check of ["config", "database", "secret file", "listen", "receiver"]) {
    assertEquals(of(check)?.state, "ok", of(check)?.message);
  }
  assertEquals(left, ["config.json", "secret"]);
});

Deno.test("doctor: a config that is not valid fails, and the rest is looked at all the same", async () => {
  const { exitCode, of } = await examine({
    "config.json": `{"storage": {"url": "sqlite:a.db"}, "subscriptons": []}`,
  });
  assertEquals(exitCode, 1);
  assertEquals(of("config")?.state, "fail");
  assertStringIncludes(of("database")!.message, "a.db");
});

Deno.test("doctor: a port that another program has fails, one that a daemon has does not", async () => {
  await using other = startRawServer({ status: 404 });
  const listen = `127.0.0.1:${other.port}`;
  const taken = await examine({ "config.json": config({ server: { listen } }) });
  assertEquals([taken.exitCode, taken.of("listen")?.state], [1, "fail"]);

  await using directory = await aDirectory({
    "config.json": JSON.stringify({ server: { listen: "unix:bellhook.sock" } }),
  });
  const file = `${directory.path}/config.json`;
  const daemon = start(["serve", "-c", file]);
  await until(() => daemon.stderr.includes("bellhook is ready"));
  const { exitCode, stdout } = await finish(["doctor", "--json", "-c", file]);
  const found = (objectsOf(stdout) as Finding[]).find(({ check }) => check === "listen")!;
  assertEquals([exitCode, found.state], [0, "ok"]);
  assertStringIncludes(found.message, "a daemon answers");
  daemon.signal("SIGTERM");
  assertEquals(await daemon.exit, 0);
});

Deno.test("doctor: a socket left behind is in nobody's way, another file is", async () => {
  const files = { "config.json": config({ server: { listen: "unix:bellhook.sock" } }) };
  const left = await examine(files, async (folder) => {
    // A listener that is killed leaves its socket; one that is closed takes it along.
    const path = `${folder}/bellhook.sock`;
    const script = `Deno.listen({ transport: "unix", path: ${JSON.stringify(path)} });
      Deno.kill(Deno.pid, "SIGKILL");`;
    await new Deno.Command(Deno.execPath(), { args: ["eval", script] }).output();
    assert((await Deno.lstat(path)).isSocket);
  });
  assertEquals([left.exitCode, left.of("listen")?.state], [0, "ok"]);
  const taken = await examine({ ...files, "bellhook.sock": "a diary" });
  assertEquals([taken.exitCode, taken.of("listen")?.state], [1, "fail"]);
});

Deno.test("doctor: a receiver that does not answer is named, with the cause and what to do", async () => {
  await using receiver = startRawServer({ status: 401 });
  const written = config({
    server: { listen: "unix:bellhook.sock" },
    subscriptions: [{
      id: "guests",
      url: `https://127.0.0.1:${receiver.port}/`,
      events: ["*"],
      secret: { file: "secret" },
      allowNetworks: ["127.0.0.0/8"],
      timeout: "1s",
    }],
  });
  await using directory = await aDirectory({ "config.json": written, secret: SECRET });
  const file = `${directory.path}/config.json`;
  const daemon = start(["serve", "-c", file]);
  await until(() => daemon.stderr.includes("bellhook is ready"));
  const url = `unix:${directory.path}/bellhook.sock`;
  await finish(["send", "a", "--data", "1", "--url", url]);
  await until(() => daemon.stderr.includes("attempt failed"));
  const examined = async () => {
    const { stdout } = await finish(["doctor", "--json", "-c", file]);
    return (objectsOf(stdout) as Finding[]).find(({ check }) => check === "answers");
  };
  const found = await until(examined);
  assertMatch(
    found.message,
    /^"guests" is not answering, 1 failed attempts? in a row: .*setting up TLS/,
  );
  assertMatch(found.fix!, /check that the url's port is one for HTTPS/);
  daemon.signal("SIGTERM");
  assertEquals(await daemon.exit, 0);
});

Deno.test("doctor: a proxy in the environment is named, and what it says is not", async () => {
  const environment = { HTTPS_PROXY: "http://u:hush@proxy.example", no_proxy: "*" };
  const { stdout } = await finish(["doctor", "--json", "-c", "/nowhere.json"], { environment });
  const found = (objectsOf(stdout) as Finding[]).find(({ check }) => check === "proxy")!;
  assertEquals(found.state, "warn");
  assertMatch(found.message, /^HTTPS_PROXY is set and ignored/);
  assert(!stdout.includes("hush"));
});

Deno.test("doctor: a file that is no database of ours fails, before the daemon would", async () => {
  const { exitCode, of } = await examine({
    "config.json": config(),
    "bellhook.db": "these bytes are no database, however many of them there are",
  });
  assertEquals([exitCode, of("database")?.state], [1, "fail"]);
});

Deno.test("doctor: a secret that others may read is a warning, and says how to mend it", async () => {
  const { exitCode, of } = await examine(
    { "config.json": config() },
    (folder) => Deno.chmod(`${folder}/secret`, 0o644),
  );
  assertEquals(exitCode, 0);
  assertEquals(of("secret file")?.state, "warn");
  assertMatch(of("secret file")!.fix!, /^chmod 600 .*secret$/);
});

Deno.test("doctor: on a terminal it is a table that fits", async () => {
  await using directory = await aDirectory({ "config.json": config(), secret: SECRET });
  const args = ["doctor", "-c", `${directory.path}/config.json`];
  const { stdout } = await finish(args, { columns: 80 });
  assertMatch(stdout, /^STATE +CHECK +FOUND/);
  assertEquals(stdout.split("\n").filter((line) => line.length > 80), []);
});

Deno.test("doctor: shows what needs attention, and all checks where it is asked to", async () => {
  const subscriptions = Array.from({ length: 60 }, (_, index) => ({
    id: `s${index}`,
    url: `https://203.0.113.7/hooks/${index}`,
    events: ["*"],
    secret: { file: `secret${index}` },
    allowNetworks: ["203.0.113.0/24"],
  }));
  const secrets = subscriptions.map(({ secret }) => [secret.file, SECRET]);
  await using directory = await aDirectory({
    "config.json": config({ subscriptions }),
    ...Object.fromEntries(secrets),
  });
  for (const [file] of secrets) {
    await Deno.chmod(`${directory.path}/${file}`, file === "secret7" ? 0o644 : 0o600);
  }
  const args = ["doctor", "-c", `${directory.path}/config.json`];
  const brief = await finish(args);
  assertMatch(brief.stdout, /^warn\tsecret file\t/m);
  assert(!brief.stdout.includes("203.0.113.7"), brief.stdout);
  assertEquals(brief.stdout.split("\n").filter((line) => line.startsWith("ok")), []);
  assertMatch(
    brief.stderr,
    /^\d+ checks: 0 failed, \d+ warned, \d+ ok; .*doctor --all shows all$/m,
  );
  const all = await finish([...args, "--all"]);
  assert(all.stdout.split("\n").length > 60);
  const json = await finish([...args, "--json"]);
  assertEquals(objectsOf(json.stdout).length, all.stdout.split("\n").length - 1);
});

Deno.test("doctor: receivers' names are judged by what they resolve to", async () => {
  const judge = async (found: readonly string[] | Error, allowNetworks: string[] = []) => {
    const subscription = aSubscription({ url: "https://guests.example/", allowNetworks });
    const [finding] = await examineReceivers([subscription], {
      clock: new FakeClock(),
      resolve: () => found instanceof Error ? Promise.reject(found) : Promise.resolve(found),
    });
    return finding!.state;
  };
  assertEquals(await judge(["93.184.216.34", "2606:2800::1"]), "ok");
  assertEquals(await judge(["93.184.216.34", "10.0.0.7"]), "warn");
  assertEquals(await judge(["10.0.0.7"], ["10.0.0.0/8"]), "ok");
  assertEquals(await judge(new Error("ENOTFOUND")), "warn");
});

Deno.test("doctor: of a host that very many subscriptions have, a few of them are named", async () => {
  const url = "https://guests.example/";
  const subscriptions = Array.from(
    { length: 1_000 },
    (_, i) => aSubscription({ id: `s${i}`, url }),
  );
  const [finding] = await examineReceivers(subscriptions, {
    clock: new FakeClock(),
    resolve: () => Promise.reject(new Error("ENOTFOUND")),
  });
  assertStringIncludes(finding!.message, "(s0, s1, s2, s3, s4 and 995 others)");
});

Deno.test("doctor: a resolver that does not answer is given up", async () => {
  const clock = new FakeClock();
  const examined = examineReceivers([aSubscription({ url: "https://guests.example/" })], {
    clock,
    resolve: () => new Promise(() => {}),
  });
  clock.advance(5_000);
  const [finding] = await examined;
  assertEquals(finding!.state, "warn");
  assertStringIncludes(finding!.message, "no answer within 5 s");
});

Deno.test("doctor: what is measured is judged", () => {
  const states = (findings: Finding[]) => findings.map(({ state }) => state);
  assertEquals(states([judgePace(3), judgePace(-51), judgePace(3_600_000)]), [
    "ok",
    "warn",
    "warn",
  ]);
  assertEquals(states([judgeSync("yes"), judgeSync(undefined), judgeSync("no")]), [
    "ok",
    "ok",
    "warn",
  ]);
  const room = (freeBytes: number) => judgeRoom({ freeBytes, totalBytes: 100 * GIB }, "/var");
  assertEquals(states([room(50 * GIB), room(1.5 * GIB), room(60 * MIB)]), ["ok", "warn", "fail"]);
  assertEquals(states([judgeFsync([1, 2, 90]), judgeFsync([25, 30, 40])]), ["ok", "warn"]);
  assertEquals(states([judgeJournal(undefined), judgeJournal(64 * MIB), judgeJournal(GIB)]), [
    "ok",
    "ok",
    "warn",
  ]);
  const pinned = judgeJournal(65 * MIB, [{ pid: 4242, program: "sqlite3" }]);
  assertMatch(pinned.message, /^65 MiB: .* while process 4242 \(sqlite3\) reads in it$/);
  assertEquals([pinned.state, pinned.fix], ["warn", "end that process, or let it finish"]);
  const mode = (check: "config file" | "secret file", bits: number) =>
    judgeMode({ check, path: "/x" }, bits);
  assertEquals(
    states([0o600, 0o644, 0o664, 0o666].map((bits) => mode("config file", bits))),
    ["ok", "ok", "warn", "fail"],
  );
  assertEquals(
    states([0o400, 0o640, 0o604, 0o602].map((bits) => mode("secret file", bits))),
    ["ok", "warn", "warn", "fail"],
  );
  assertEquals(
    states([judgeOpenFiles(1_024, 256), judgeOpenFiles(512, 256), judgeOpenFiles(48, 256)]),
    ["ok", "warn", "fail"],
  );
});

Deno.test("doctor: a limit of open files is told with what it suffices for", () => {
  const { state, message, fix } = judgeOpenFiles(128, 256);
  assertEquals(state, "warn");
  assertEquals(
    message,
    "at most 128: enough for 40 connections to receivers and 40 from publishers and operators at " +
      "once; delivery.totalConcurrency is 256; attempts beyond the limit wait",
  );
  assertStringIncludes(fix ?? "", "LimitNOFILE=65536");
});
