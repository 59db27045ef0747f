import { assert, assertEquals } from "@std/assert";
import { readConfig } from "../src/config/load.ts";
import { aConfig } from "./support/a_config.ts";
import { A_SECRET } from "./support/a_subscription.ts";
import { aDaemon } from "./support/a_daemon.ts";

const README = await Deno.readTextFile("README.md");

/** The texts of all code blocks of a language. */
function blocks(language: string): string[] {
  return [...README.matchAll(/```(\w+)\n([\s\S]*?)```/g)]
    .filter(([, given]) => given === language)
    .map(([, , text]) => text!);
}

async function help(...args: string[]): Promise<string> {
  const output = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-q", "--no-check", "-A", "main.ts", ...args, "--help"],
    env: { NO_COLOR: "1" },
  }).output();
  assertEquals(output.code, 0, new TextDecoder().decode(output.stderr));
  return new TextDecoder().decode(output.stdout);
}

Deno.test("README: every config in it passes the check", async () => {
  const [whole, ...parts] = blocks("jsonc");
  const texts = [whole!, ...parts.map((part) => part.trim().startsWith("{") ? part : `{${part}}`)];
  for (const text of texts) {
    const loaded = await readConfig({
      path: "/etc/bellhook/config.json",
      text,
      sources: {
        env: (name) => name.includes("HOOK") ? A_SECRET.reveal() : "a secret of some length",
        file: () => Promise.reject(new Error("no config of the README names a file")),
        credential: () => Promise.reject(new Error("no config of the README names a credential")),
      },
    });
    assertEquals(loaded.ok ? [] : loaded.problems, [], text);
  }
});

Deno.test("README: every command in it is one, with the options it is shown with", async () => {
  const lines = blocks("sh").join("\n").split("\n").map((line) => line.replace(/\s+#.*$/, ""));
  const calls = lines.flatMap((line) => {
    const call = /(?:deno task (?:-q )?bellhook|^\s*bellhook) ([a-z]+)(.*)$/.exec(line);
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
  for (const [, task] of README.matchAll(/(?:deno@[\d.]+|deno) task (?:-q )?([a-z]+)/g)) {
    assert(task! in tasks, task);
  }
});

Deno.test("README: the event that it posts by curl is taken", async () => {
  const curl = blocks("sh").find((text) => text.includes("curl -i"))!;
  const body = /-d '([\s\S]*?)'/.exec(curl)![1]!;
  await using daemon = await aDaemon(aConfig());
  assertEquals((await daemon.call("POST", "/v1/events", body)).status, 202);
  assertEquals((await daemon.call("POST", "/v1/events", body)).status, 200);
});
