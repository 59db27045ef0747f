import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { configJsonSchema } from "../../src/config/schema.ts";
import { aDirectory, finish } from "./captured.ts";
import { openSqliteOutbox } from "../../src/outbox/sqlite/opening.ts";
import { aNewEvent } from "../outbox/building.ts";

const SUBSCRIPTION = {
  id: "guests",
  url: "https://guests.example.com/",
  events: ["booking.created"],
  secret: { env: "GUESTS_SECRET" },
};
const environment = { GUESTS_SECRET: "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=" };

Deno.test("check: a sound config is one line on stdout", async () => {
  await using directory = await aDirectory({
    "config.json": JSON.stringify({ subscriptions: [SUBSCRIPTION] }),
  });
  const file = `${directory.path}/config.json`;
  const { exitCode, stdout, stderr } = await finish(["check", "-c", file], { environment });
  assertEquals([exitCode, stdout, stderr], [
    0,
    `${file} is valid: 1 subscription, 1 profile\n`,
    "",
  ]);
});

Deno.test("check: every problem with its place and its fix, and exit code 2", async () => {
  await using directory = await aDirectory({
    "config.json": JSON.stringify({ subscriptons: [], subscriptions: [SUBSCRIPTION] }),
  });
  const file = `${directory.path}/config.json`;
  const { exitCode, stdout, stderr } = await finish(["check", "-c", file]);
  assertEquals(exitCode, 2);
  assertMatch(stdout, /config\.json:1:\d+ {2}subscriptons\n {2}.+/);
  assertStringIncludes(stdout, "GUESTS_SECRET");
  assertMatch(stderr, /^2 problems$/m);
});

Deno.test("check: a file is named from the working directory, but for the root by its whole path", async () => {
  await using directory = await aDirectory({ "config.json": `{"server": {"listn": 1}}` });
  const file = `${directory.path}/config.json`;
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const from = async (cwd: string) => {
    const args = ["run", "-q", "-A", main, "check", "-c", file];
    const { stdout } = await new Deno.Command(Deno.execPath(), { args, cwd }).output();
    return new TextDecoder().decode(stdout).split("  ")[0];
  };
  assertEquals(await from(directory.path), "config.json:1:13");
  assertEquals(await from("/"), `${file}:1:13`);
});

Deno.test("check: --json is one object a problem", async () => {
  await using directory = await aDirectory({ "config.json": `{"server": {"listn": 1}}` });
  const { exitCode, stdout } = await finish(
    ["check", "--json", "-c", `${directory.path}/config.json`],
  );
  assertEquals(exitCode, 2);
  for (const line of stdout.trim().split("\n")) {
    const { severity, message } = JSON.parse(line);
    assert(severity === "error" && typeof message === "string");
  }
});

Deno.test("check: a missing file says how to make one", async () => {
  await using directory = await aDirectory();
  const { exitCode, stdout } = await finish(["check", "-c", `${directory.path}/config.json`]);
  assertEquals(exitCode, 2);
  assertStringIncludes(stdout, "bellhook init");
});

Deno.test("licenses: a checkout has nothing built in, and says where its own are", async () => {
  const { exitCode, stdout, stderr } = await finish(["licenses"]);
  assertEquals([exitCode, stdout], [0, ""]);
  assertStringIncludes(stderr, "deno.lock");
});

Deno.test("schema: the config's JSON Schema", async () => {
  const { exitCode, stdout } = await finish(["schema"]);
  assertEquals(exitCode, 0);
  assertEquals(JSON.parse(stdout), JSON.parse(JSON.stringify(configJsonSchema())));
});

Deno.test("init: writes a config that check takes once its secret is there", async () => {
  await using directory = await aDirectory();
  const { exitCode, stdout, stderr } = await finish(["init", `${directory.path}/new`]);
  const file = `${directory.path}/new/config.json`;
  assertEquals([exitCode, stdout], [0, `${file}\n`]);
  for (const command of ["secret", "check", "serve"]) {
    assertStringIncludes(stderr, `bellhook ${command}`);
  }
  assertEquals((await finish(["check", "-c", file])).exitCode, 2);
  const made = (await finish(["secret"])).stdout.trim();
  const checked = await finish(["check", "-c", file], { environment: { GUESTS_SECRET: made } });
  assertEquals([checked.exitCode, checked.stderr], [0, ""], checked.stdout);
});

Deno.test("init --local: a config and a secret that check takes as they are", async () => {
  await using directory = await aDirectory();
  const { exitCode, stdout, stderr } = await finish(["init", "--local", `${directory.path}/new`]);
  const file = `${directory.path}/new/config.json`;
  assertEquals([exitCode, stdout], [0, `${file}\n`]);
  for (const command of ["listen --subscription local", "serve", "send"]) {
    assertStringIncludes(stderr, `bellhook ${command}`);
  }
  const checked = await finish(["check", "-c", file]);
  assertEquals([checked.exitCode, checked.stderr], [0, ""], checked.stdout);
  const secret = await Deno.stat(`${directory.path}/new/secrets/local`);
  assertEquals(secret.mode! & 0o777, 0o600);
  const again = await finish(["init", "--local", `${directory.path}/new`]);
  assertStringIncludes(again.stderr, "there is such a file already");
});

Deno.test("init --local: a secret that is there already is kept", async () => {
  await using directory = await aDirectory();
  await Deno.mkdir(`${directory.path}/secrets`);
  const kept = `whsec_${btoa("k".repeat(32))}`;
  await Deno.writeTextFile(`${directory.path}/secrets/local`, kept);
  assertEquals((await finish(["init", "--local", directory.path])).exitCode, 0);
  assertEquals(await Deno.readTextFile(`${directory.path}/secrets/local`), kept);
});

Deno.test("init: leaves a file that is there as it is", async () => {
  await using directory = await aDirectory({ "config.json": "mine" });
  const { exitCode, stderr } = await finish(["init", directory.path]);
  assertEquals(exitCode, 1);
  assertStringIncludes(stderr, "there is such a file already");
  assertEquals(await Deno.readTextFile(`${directory.path}/config.json`), "mine");
});

Deno.test("secret: alone on stdout, in the profile's form, and new each time", async () => {
  const [one, two] = [await finish(["secret"]), await finish(["secret"])];
  assertMatch(one.stdout, /^whsec_[A-Za-z0-9+/]{43}=\n$/);
  assert(one.stdout !== two.stdout);
  assertMatch((await finish(["secret", "--profile", "roostsync"])).stdout, /^[\w-]{43}\n$/);
});

Deno.test("secret: a key pair's public half is talk, or a member of --json", async () => {
  const { stdout, stderr } = await finish(["secret", "--ed25519"]);
  assertMatch(stdout, /^whsk_\S+\n$/);
  assertMatch(stderr, /whpk_\S+\n$/);
  const pair = JSON.parse((await finish(["secret", "--ed25519", "--json"])).stdout);
  assertEquals(Object.keys(pair), ["secret", "publicKey"]);
});

Deno.test("secret: a profile that knows no key pairs", async () => {
  const { exitCode, stdout, stderr } = await finish([
    ...["secret", "--ed25519", "--profile", "bookingsync"],
  ]);
  assertEquals([exitCode, stdout], [2, ""]);
  assertStringIncludes(stderr, "bookingsync");
});

Deno.test("secret: for a profile of the config file, though other secrets are missing", async () => {
  await using directory = await aDirectory({
    "config.json": JSON.stringify({
      profiles: { ours: { extends: "roostsync" } },
      subscriptions: [{ ...SUBSCRIPTION, profile: "ours" }],
    }),
  });
  const { exitCode, stdout, stderr } = await finish([
    ...["secret", "--profile", "ours", "-c", `${directory.path}/config.json`],
  ]);
  assertEquals(exitCode, 0, stderr);
  assertMatch(stdout, /^[\w-]{43}\n$/);
});

Deno.test("audit: a database that is not there yet is not found, nor made", async () => {
  await using directory = await aDirectory({ "config.json": "{}" });
  const { exitCode, stderr } = await finish(["audit", "-c", `${directory.path}/config.json`]);
  assertEquals(exitCode, 3);
  assertStringIncludes(stderr, `${directory.path}/bellhook.db`);
  assertEquals([...Deno.readDirSync(directory.path)].map(({ name }) => name), ["config.json"]);
});

Deno.test("audit and backup: of a database in memory there is nothing to read", async () => {
  await using directory = await aDirectory({
    "config.json": `{"storage": {"url": "sqlite::memory:"}}`,
  });
  const file = `${directory.path}/config.json`;
  for (const command of [["audit"], ["backup", `${directory.path}/copy.db`]]) {
    const { exitCode, stderr } = await finish([...command, "-c", file]);
    assertEquals(exitCode, 3);
    assertStringIncludes(stderr, `storage.url in "${file}" is a database in memory`);
  }
});

Deno.test("check and doctor: a pattern that matched nothing in 30 days is a warning, with what was meant", async () => {
  const url = "sqlite:outbox.db";
  const subscription = { ...SUBSCRIPTION, events: ["boking.created", "booking.*"] };
  await using directory = await aDirectory({
    "config.json": JSON.stringify({ storage: { url }, subscriptions: [subscription] }),
  });
  const DAY_MS = 86_400_000;
  const now = Date.now();
  const outbox = await openSqliteOutbox(`${directory.path}/outbox.db`);
  for (const daysAgo of [31, 1]) {
    await outbox.enqueue({ events: [aNewEvent()], at: now - daysAgo * DAY_MS });
  }
  await outbox.close();
  const file = `${directory.path}/config.json`;
  const { exitCode, stdout } = await finish(["check", "-c", file], { environment });
  assertEquals(exitCode, 0);
  assertMatch(
    stdout,
    /^warning: .*\n {2}the pattern "boking\.created" of "guests" matched no event in 30 days\n {2}fix: did you mean "booking\.created"\?\n\n.* is valid/,
  );
  const json = await finish(["--json", "check", "-c", file], { environment });
  assertEquals(JSON.parse(json.stdout.split("\n")[0]!).severity, "warning");
  const doctor = await finish(["doctor", "--json", "-c", file], { environment });
  assertMatch(doctor.stdout, /"check":"pattern","state":"warn"/);
});
