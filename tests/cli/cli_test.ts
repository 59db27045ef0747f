import { assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { bellhook } from "../../src/cli/cli.ts";
import { Shell } from "../../src/cli/shell.ts";
import { systemTerminal } from "../../src/cli/terminal.ts";
import { VERSION } from "../../src/version.ts";
import { aDirectory, finish } from "./captured.ts";

const COMMANDS = [
  ...["dev", "init", "secret", "check", "serve", "reload", "send", "listen", "audit", "schema"],
  ...["diff", "match", "test", "status", "deliveries", "tail", "retry", "cancel", "replay"],
  ...["pause", "resume", "backup", "doctor", "install-service", "completion", "licenses"],
];

Deno.test("bellhook: --version is the version of deno.json", async () => {
  const { version } = JSON.parse(
    await Deno.readTextFile(new URL("../../deno.json", import.meta.url)),
  );
  assertEquals(VERSION, version);
  const { exitCode, stdout } = await finish(["--version"]);
  assertEquals([exitCode, stdout], [0, `bellhook ${version}\n`]);
});

Deno.test("bellhook: every command's help has examples and the global options", async () => {
  for (const command of COMMANDS) {
    const { exitCode, stdout } = await finish([command, "--help"]);
    assertEquals(exitCode, 0, command);
    assertMatch(stdout, /Examples:\n {2}\$ /, command);
    assertStringIncludes(stdout, "--config <file>", command);
  }
});

Deno.test("bellhook: its help lists every command, on stdout", async () => {
  const { exitCode, stdout, stderr } = await finish(["--help"]);
  assertEquals([exitCode, stderr], [0, ""]);
  for (const command of COMMANDS) assertMatch(stdout, new RegExp(`^  ${command}\\b`, "m"));
});

Deno.test("bellhook: what is mistyped is refused with the nearest name", async () => {
  const slips = [
    [["chekc"], "check"],
    [["stauts", "test"], "Did you mean status?"],
    [["--url", "http://127.0.0.1:9", "stauts", "--json"], "Did you mean status?"],
    [["check", "--jsn"], "--json"],
    [["secret", "--profle", "standard"], "--profile"],
    [["secret", "--profile", "standrd"], `"standard"`],
  ] as const;
  for (const [args, meant] of slips) {
    const { exitCode, stdout, stderr } = await finish(args);
    assertEquals([exitCode, stdout], [2, ""], args.join(" "));
    assertMatch(stderr, /[Dd]id you mean/);
    assertStringIncludes(stderr, meant);
  }
});

Deno.test("bellhook: a daemon loads the code of no other command, whatever its arguments are named", async () => {
  const loaded = async (...args: string[]) =>
    (await bellhook(new Shell(systemTerminal()), { args })).commands.map((one) => one.name());
  assertEquals(await loaded("serve"), ["serve"]);
  assertEquals(await loaded("-c", "check", "--json", "serve", "--log", "test"), ["serve"]);
});

Deno.test("bellhook: no command, too many arguments and bad values are not valid", async () => {
  const wrong = [[], ["check", "x"], ["listen", "--port", "x"], ["listen", "--fail", "700"]];
  for (const args of [...wrong, ["listen", "--delay", "10"]]) {
    assertEquals((await finish(args)).exitCode, 2, args.join(" "));
  }
});

Deno.test("bellhook: an empty id is none, and nobody is asked for it", async () => {
  const commands = [
    ...["deliveries", "status", "replay", "pause", "resume", "test", "retry", "cancel"]
      .map((command) => [command, ""]),
    ["retry", "dlv_1", " "],
    ["deliveries", "--event", ""],
    ...["deliveries", "cancel", "replay", "tail", "sign"]
      .map((command) => [command, "--subscription", ""]),
  ];
  for (const command of commands) {
    const { exitCode, stderr } = await finish([...command, "--url", "http://127.0.0.1:9"]);
    assertEquals(exitCode, 2, `${command.join(" ")}: ${stderr}`);
    assertStringIncludes(stderr, "The id is empty.");
  }
});

Deno.test("bellhook: global options stand before or after the command", async () => {
  await using directory = await aDirectory({ "c.json": `{"subscriptions": []}` });
  const file = `${directory.path}/c.json`;
  for (
    const args of [["-c", file, "--json", "check"], ["check", "--json", "-c", file], [
      "--config",
      file,
      "check",
      "--json",
    ]]
  ) {
    const { exitCode, stdout } = await finish(args);
    assertEquals([exitCode, JSON.parse(stdout).file], [0, file]);
  }
});

Deno.test("bellhook: BELLHOOK_CONFIG names the config file, -c another", async () => {
  await using directory = await aDirectory({ "c.json": `{"subscriptions": []}` });
  const environment = { BELLHOOK_CONFIG: `${directory.path}/c.json` };
  assertEquals((await finish(["check"], { environment })).exitCode, 0);
  const other = `${directory.path}/none.json`;
  assertEquals((await finish(["check", "-c", other], { environment })).exitCode, 2);
});

Deno.test("bellhook: a process ends with the exit code, and NO_COLOR is heard", async () => {
  const main = new URL("../../main.ts", import.meta.url).pathname;
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "-A", main, "chekc"],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals([code, stdout.length], [2, 0]);
  const text = new TextDecoder().decode(stderr);
  assertStringIncludes(text, "Did you mean check?");
  assertEquals(text.includes("\x1b"), false);
});
