import { assertEquals } from "@std/assert";
import { join } from "node:path";
import { ROOT } from "../../packaging/bundle.ts";
import { aDirectory } from "../cli/captured.ts";

/** What CI's steps print and exit with, where `deno task NAME` does so in a shell. */
async function steps(tasks: { dev: string; ok: string; test: string }) {
  await using place = await aDirectory({ "a_test.ts": FAILING });
  const npx = join(place.path, "npx");
  const cases = Object.entries(tasks).map(([name, does]) => `${name}) ${does} ;;`);
  // It is called as `npx --yes deno@VERSION task NAME`.
  const text = `#!/bin/sh\ncd ${place.path}\ncase $4 in\n${cases.join("\n")}\nesac\n`;
  await Deno.writeTextFile(npx, text, { mode: 0o755 });
  const { code, stdout } = await new Deno.Command("bash", {
    args: [join(ROOT, ".ci", "steps")],
    env: { PATH: `${place.path}:${Deno.env.get("PATH")}` },
    stderr: "piped",
  }).output();
  const said = new TextDecoder().decode(stdout).replaceAll(/\(\d+m?s\)/g, "(1ms)");
  return { code, lines: said.split("\n").slice(0, -1) };
}

const FAILING = `Deno.test("the good", () => {});
Deno.test("the bad", () => { throw new Error("never came about: peace"); });
`;

/** The real thing, run on a test that fails. */
const FAILS = `${Deno.execPath()} test -q --no-config a_test.ts`;

const PASSES = "echo; echo 'ok | 7 passed (2 steps) | 0 failed | 1 ignored (3s)'; echo";

const isWindows = Deno.build.os === "windows";

Deno.test({
  name: "CI: when all is well, the last line is the count",
  ignore: isWindows,
  async fn() {
    const { code, lines } = await steps({ dev: "echo fine", ok: PASSES, test: PASSES });
    assertEquals([code, lines.at(-1)], [0, "7 passed, 0 failed"]);
    assertEquals(lines.some((line) => line.includes("failed with")), false);
  },
});

Deno.test({
  name: "CI: what failed in an earlier step is named at the end, and counted",
  ignore: isWindows,
  async fn() {
    const { code, lines } = await steps({
      dev: "echo 'no port is free' >&2; exit 3",
      ok: FAILS,
      test: PASSES,
    });
    assertEquals([code, lines.at(-1)], [1, "7 passed, 2 failed"]);
    const end = lines.slice(lines.findLastIndex((line) => line.endsWith("task dev --once")));
    assertEquals(end.filter((line) => /^(==|no|the|error: E|FAILED)/.test(line)), [
      "== failed with 3: npx --yes deno@2.9.6 task dev --once",
      "no port is free",
      "== failed with 1: npx --yes deno@2.9.6 task ok",
      "the bad => ./a_test.ts:2:6",
      "error: Error: never came about: peace",
      "the bad => ./a_test.ts:2:6",
      "FAILED | 1 passed | 1 failed (1ms)",
    ]);
  },
});

Deno.test({
  name:
    "CI: what fails in the last step is named and counted too, and a step without a count is one",
  ignore: isWindows,
  async fn() {
    const unformatted = "echo 'error: Found 1 not formatted file'; exit 1";
    const { code, lines } = await steps({ dev: "true", ok: unformatted, test: FAILS });
    assertEquals([code, lines.at(-1)], [1, "1 passed, 2 failed"]);
    const end = lines.slice(lines.findLastIndex((line) => line.endsWith("task ok")));
    assertEquals(end[1], "error: Found 1 not formatted file");
    assertEquals(end.filter((line) => line.startsWith("the bad")).length, 2);
  },
});
