import { assert, assertEquals, assertMatch } from "@std/assert";
import { dirname, join } from "node:path";
import { output } from "../../packaging/run_command.ts";
import { aDirectory } from "../cli/captured.ts";
import { freePort } from "../support/processes.ts";
import { aHouse } from "./a_house.ts";
import { anInstallation, type Installation, missingTools } from "./an_installation.ts";
import { type Block, blocksOf, PAGES } from "./pages.ts";
import { assertOutputs, runPage } from "./run_page.ts";
import { shapeOf } from "./shape.ts";

const missing = missingTools();
const leftOut = missing === undefined ? "" : ` (left out: ${missing})`;

/** Run by itself: it brings its own daemon. */
const STARTING = "docs/getting-started.md";

const INSTALLING = "docs/install.md";

Deno.test({
  name: `handbook: its commands run, one after the other, and say what it shows${leftOut}`,
  ignore: missing !== undefined,
  async fn(test) {
    await using installed = await anInstallation();
    for (const path of PAGES) {
      const blocks = blocksOf(await Deno.readTextFile(path))
        .filter(({ section }) => section !== IN_THE_CHECKOUT);
      const hasCommands = blocks.some(({ language }) => language === "sh");
      if (!hasCommands || NOT_BELLHOOKS.includes(path)) continue;
      await test.step(path, async () => {
        const run = path === STARTING ? runFromNothing : runInHouse;
        assertOutputs(path, blocks, await run(path, installed, blocks));
      });
    }
  },
});

/** The README's part that needs a checkout and nothing else. */
const IN_THE_CHECKOUT = "From nothing to a delivery";

Deno.test({
  name: `README: from nothing to a delivery, in a checkout with an empty home${leftOut}`,
  ignore: missing !== undefined,
  async fn() {
    await using home = await aDirectory();
    await using checkout = await aCheckout();
    const [daemon, receiver] = [freePort(), freePort()];
    const ports =
      `sed -i 's/8420/${daemon}/; s/8421/${receiver}/' config.json customers/local.json`;
    const blocks = blocksOf(await Deno.readTextFile("README.md"))
      .filter(({ section }) => section === IN_THE_CHECKOUT);
    const said = await runPage("README.md", {
      folder: checkout.path,
      env: {
        HOME: home.path,
        PATH: `${dirname(Deno.execPath())}:${Deno.env.get("PATH")}`,
        // What npm gives is the same for every home; a newcomer waits for it once.
        DENO_DIR: await denoFolder(),
      },
      // All at once, as somebody pastes them: the event may come before its receiver listens.
      translate: (lines) =>
        lines.replace(/(init --local.*)/, `$1\n${ports}`)
          .replace(
            /^(\.\/bellhook send .*)$/m,
            `$1\n${UNTIL_NONE_IS_PENDING}\n./bellhook deliveries`,
          ),
    }, blocks);
    const lines = shapeOf(said);
    for (const { language, text } of blocks) {
      if (language !== "text") continue;
      for (const line of shapeOf(text)) assert(lines.includes(line), `${line}\nnot in\n${said}`);
    }
    assertMatch(said, /dlv_\w+ +delivered +local/);
    assertMatch(said, /acme/);
    const { mode } = await Deno.stat(`${checkout.path}/secrets/local`);
    assertEquals(mode! & 0o077, 0);
  },
});

const UNTIL_NONE_IS_PENDING =
  "while ./bellhook deliveries --state pending --json | grep -q dlv_; do sleep 0.1; done";

/** The files of this checkout that git knows or would add, as a clone has them. */
async function aCheckout() {
  const folder = await aDirectory();
  const copy = `git ls-files -co --exclude-standard -z | xargs -0 sh -c ` +
    `'for file; do [ ! -e "$file" ] || echo "$file"; done' sh | tar -cf - -T - | tar -xf - -C "$0"`;
  await output("bash", ["-c", copy, folder.path]);
  return folder;
}

async function denoFolder(): Promise<string> {
  return JSON.parse(await output(Deno.execPath(), ["info", "--json"])).denoDir;
}

/** As somebody does who has an empty home and nothing else. */
async function runFromNothing(
  path: string,
  installed: Installation,
  blocks: readonly Block[],
): Promise<string> {
  await using home = await aDirectory();
  const [daemon, receiver] = [freePort(), freePort()];
  const said = await runPage(path, {
    folder: installed.folder,
    env: { HOME: home.path, PATH: Deno.env.get("PATH")! },
    translate: (lines) =>
      lines
        .replace("npx --yes deno@2.9.6 task compile", ":")
        .replace('{\n  "subs', `{ "server": { "listen": "127.0.0.1:${daemon}" },\n  "subs`)
        .replaceAll("8420", String(daemon))
        .replaceAll("8421", String(receiver)),
  }, blocks);
  const log = await Deno.readTextFile(join(home.path, "first-webhook", "bellhook.log"));
  assertEquals(log.match(/msg=stopped left=\d+/)?.[0], "msg=stopped left=0");
  return said;
}

async function runInHouse(
  path: string,
  installed: Installation,
  blocks: readonly Block[],
): Promise<string> {
  await using house = await aHouse(installed);
  const { translate } = house.stage;
  // There the config is yet to be written, and the house has one.
  const etc = path === INSTALLING ? "/etc/bellhook-new" : "/etc/bellhook";
  const here = (lines: string) =>
    translate(lines.replaceAll("/etc/bellhook", etc).replaceAll("\\\n", " ")).split("\n").map((
      line,
    ) => asRunHere(line))
      .join("\n");
  return await runPage(path, { ...house.stage, translate: here }, blocks);
}

/** Pages whose commands are not Bellhook's: the benchmark takes an hour. */
const NOT_BELLHOOKS: readonly string[] = ["bench/README.md"];

/** Commands that can't run in a test, or need not. */
const NOT_RUN: readonly (readonly [command: RegExp, why: string])[] = [
  [/^npx --yes deno@[\d.]+ task (dev|test)\b/, "CI runs these two by themselves"],
  [/^deno task (ok|test:quick)\b/, "it would run this test again"],
  [/^(npx --yes deno@[\d.]+|deno) task compile\b/, "the archive it makes is there already"],
  [/^deno task bench\b/, "an hour"],
  [/^litestream /, "another program, which need not be here"],
  [/^sudo bellhook install-service -c/, "/etc/systemd is the machine's; --print shows the unit"],
  [
    /^npx --yes openapi-typescript/,
    "tests/http/generated_client_test.ts does, and runs the client",
  ],
  [/^podman /, "no registry has the base images here; tests/packaging/container_test.ts checks it"],
  [
    /^docker compose /,
    "there is no daemon for it; tests/packaging/container_test.ts checks its files",
  ],
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
