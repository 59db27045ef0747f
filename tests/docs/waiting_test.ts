import { assert, assertEquals, assertMatch } from "@std/assert";
import { aDirectory } from "../cli/captured.ts";
import { freePort } from "../support/processes.ts";
import { blocksOf, PAGES } from "./pages.ts";

const MAIN = new URL("../../main.ts", import.meta.url).pathname;
const PATH = Deno.env.get("PATH")!;

Deno.test("handbook: no loop waits for ever", async () => {
  for (const path of PAGES) {
    for (const { language, text } of blocksOf(await Deno.readTextFile(path))) {
      if (language !== "sh") continue;
      for (const [loop] of text.matchAll(/^\s*(while|until)\b[\s\S]*?\bdone\b/gm)) {
        assertMatch(loop, /\bbreak\b/, `${path}: ${loop}`);
      }
    }
  }
});

Deno.test("getting started: where the daemon can't start, waiting for it ends and says why", async () => {
  const blocks = blocksOf(await Deno.readTextFile("docs/getting-started.md"));
  const serving = blocks.find(({ text }) => text.startsWith("bellhook serve"))!;
  const script = serving.text.replaceAll("8420", String(freePort()));
  await using directory = await aDirectory({
    "config.json": `{"subscriptons": []}`,
    bellhook: `#!/bin/sh\nexec "${Deno.execPath()}" run -q -A "${MAIN}" "$@"\n`,
  });
  await Deno.chmod(`${directory.path}/bellhook`, 0o755);
  const { code, stdout } = await new Deno.Command("timeout", {
    args: ["60", "bash", "-ec", script],
    cwd: directory.path,
    env: { PATH: `${directory.path}:${PATH}`, NO_COLOR: "1" },
    stderr: "null",
  }).output();
  const said = new TextDecoder().decode(stdout);
  assertEquals(code, 0, said);
  assertMatch(said, /the key "subscriptons" is unknown\n {2}fix: did you mean "subscriptions"\?/);
  assert(!said.includes("ready"));
});
