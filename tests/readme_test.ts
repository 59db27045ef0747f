import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { blocksOf } from "./docs/pages.ts";

const README = await Deno.readTextFile("README.md");

Deno.test("README: every command in it is one, with the options it is shown with", async () => {
  const lines = blocksOf(README).filter(({ language }) => language === "sh")
    .flatMap(({ text }) => text.split("\n"))
    .map((line) => line.replace(/\s+#.*$/, ""));
  const calls = lines.flatMap((line) => {
    const call = /(?:deno task (?:-q )?bellhook|^\s*(?:\.\/)?bellhook) ([a-z-]+)(.*)$/.exec(line);
    return call ? [{ command: call[1]!, rest: call[2]! }] : [];
  });
  assert(calls.length > 5);
  const helps = new Map<string, string>();
  for (const { command, rest } of calls) {
    if (!helps.has(command)) helps.set(command, await help(command));
    for (const [option] of rest.matchAll(/(?<= )--[a-z-]+/g)) {
      assert(helps.get(command)!.includes(option), `${command} ${option}`);
    }
  }
});

Deno.test("README: its tasks are tasks", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile("deno.json"));
  for (const [, task] of README.matchAll(/(?:deno@[\d.]+|deno) task (?:-q )?([a-z-]+)/g)) {
    assert(task! in tasks, task);
  }
});

async function help(...args: string[]): Promise<string> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", "-A", "main.ts", ...args, "--help"],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(output.code, 0, new TextDecoder().decode(output.stderr));
  return new TextDecoder().decode(output.stdout);
}

Deno.test("README: it is short, and its commands fit a terminal of 80 columns", () => {
  assert(README.split("\n").length <= 150);
  for (const { language, text } of blocksOf(README)) {
    if (language !== "sh" && language !== "text") continue;
    for (const line of text.split("\n")) assert(line.length <= 80, line);
  }
});

Deno.test("README: the first screen says what it does, how to see it, how to post, and shows it", () => {
  const screen = README.split("\n## ")[0]!;
  for (const delay of ["1m", "5m", "30m", "2h", "24h"]) assertStringIncludes(screen, delay);
  const [commands, post] = blocksOf(screen).map(({ text }) => text);
  // CI runs exactly these two, and how long they take is said beside them.
  const ci = Deno.readTextFileSync(".ci/steps");
  const shown = [
    ...commands!.matchAll(/^(npx --yes deno@\S+ task .*?) +# \d+ (?:seconds|minutes)/gm),
  ];
  assertEquals(shown.length, 2);
  for (const [, command] of shown) assertStringIncludes(ci, command!);
  assertMatch(post!, /^curl .*\/v1\/events /);
  assertMatch(screen, /!\[.+\]\(screenshots\/.+\.png\)/);
});
