import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { aDirectory } from "../cli/captured.ts";
import { freePort } from "../support/processes.ts";
import { aHouse } from "./a_house.ts";
import { anInstallation, type Installation, missingTools } from "./an_installation.ts";
import { blocksOf, PAGES } from "./pages.ts";
import { runPage } from "./run_page.ts";

const missing = missingTools();
const leftOut = missing === undefined ? "" : ` (left out: ${missing})`;

/** Run by itself: it brings its own daemon. */
const STARTING = "docs/getting-started.md";

Deno.test({
  name: `handbook: its commands run, one after the other, and say what it shows${leftOut}`,
  ignore: missing !== undefined,
  async fn(test) {
    await using installed = await anInstallation();
    for (const path of PAGES) {
      const blocks = blocksOf(await Deno.readTextFile(path));
      const hasCommands = blocks.some(({ language }) => language === "sh");
      if (!hasCommands || NOT_BELLHOOKS.includes(path)) continue;
      await test.step(
        path,
        () => path === STARTING ? runFromNothing(path, installed) : runInHouse(path, installed),
      );
    }
  },
});

/** As somebody does who has an empty home and nothing else. */
async function runFromNothing(path: string, installed: Installation): Promise<void> {
  await using home = await aDirectory();
  const [daemon, receiver] = [freePort(), freePort()];
  await runPage(path, {
    folder: installed.folder,
    env: { HOME: home.path, PATH: Deno.env.get("PATH")! },
    translate: (lines) =>
      lines
        .replace("npx --yes deno@2.9.6 task compile", ":")
        .replace('{\n  "subs', `{ "server": { "listen": "127.0.0.1:${daemon}" },\n  "subs`)
        .replaceAll("8420", String(daemon))
        .replaceAll("8421", String(receiver)),
  });
  const log = await Deno.readTextFile(join(home.path, "first-webhook", "bellhook.log"));
  assertEquals(log.match(/msg=stopped left=\d+/)?.[0], "msg=stopped left=0");
}

async function runInHouse(path: string, installed: Installation): Promise<void> {
  await using house = await aHouse(installed);
  const { translate } = house.stage;
  const here = (lines: string) =>
    translate(lines).split("\n").map((line) => asRunHere(line)).join("\n");
  await runPage(path, { ...house.stage, translate: here });
}

/** Pages whose commands are not Bellhook's: the benchmark takes an hour. */
const NOT_BELLHOOKS: readonly string[] = ["bench/README.md"];

/** Commands that can't run in a test, or need not. */
const NOT_RUN: readonly (readonly [command: RegExp, why: string])[] = [
  [/^npx --yes deno@[\d.]+ task (dev|test)\b/, "CI runs these two by themselves"],
  [/^deno task ok\b/, "it would run this test again"],
  [/^(npx --yes deno@[\d.]+|deno) task compile\b/, "the archive it makes is there already"],
  [/^deno task bench\b/, "an hour"],
  [/^litestream /, "another program, which need not be here"],
  [/^sudo bellhook install-service -c/, "/etc/systemd is the machine's; --print shows the unit"],
  [/^curl .*--unix-socket/, "this daemon listens on a port"],
  [/^bellhook serve\b/, "it runs already, and a second one refuses"],
];

/** Commands that go on until they are stopped: a second of each. */
const ENDLESS = /^(bellhook (tail|listen|dev)\b|curl -N )/;

/** Commands that are shown because they fail, and the exit code that says so. */
const FAILING: readonly (readonly [command: RegExp, code: number])[] = [
  [/--request refused\.http/, 1],
  [/-d '{"type": "booking\.created"}'/, 22],
];

function asRunHere(line: string): string {
  const command = line.replace(/deno task (-q )?bellhook/, "bellhook");
  const trimmed = command.trim();
  if (NOT_RUN.some(([pattern]) => pattern.test(trimmed))) return ": left out";
  const bare = command.replace(/\s+#.*$/, "");
  if (ENDLESS.test(trimmed)) return `timeout 1 ${bare} || [ $? -eq 124 ]`;
  // The house's config is named by the environment; a new one is to be in the folder.
  if (/^bellhook init/.test(trimmed)) return `env -u BELLHOOK_CONFIG ${command}`;
  const failing = FAILING.find(([pattern]) => pattern.test(command));
  return failing ? `${bare.replace(/; echo$/, "")} || [ $? -eq ${failing[1]} ]` : command;
}

Deno.test("handbook: what is left out when its commands run is still in it", async () => {
  const lines = (await Promise.all(PAGES.map((path) => Deno.readTextFile(path))))
    .flatMap(blocksOf).flatMap(({ text }) => text.split("\n").map((line) => line.trim()));
  const patterns = [...NOT_RUN, ...FAILING].map(([pattern]) => pattern);
  assertEquals(patterns.filter((pattern) => !lines.some((line) => pattern.test(line))), []);
});
