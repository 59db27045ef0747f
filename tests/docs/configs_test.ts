import { assert, assertEquals } from "@std/assert";
import { configurationReference } from "../../packaging/configuration_reference.ts";
import { formatProblem, readConfig } from "../../src/config/load.ts";
import { blocksOf, PAGES } from "./pages.ts";

Deno.test("configuration.md: it is what the schema gives (make it anew with `deno task docs`)", async () => {
  assertEquals(await Deno.readTextFile("docs/configuration.md"), await configurationReference());
});

Deno.test("handbook: every config in it, whole or in part, passes the check", async () => {
  let seen = 0;
  for (const path of PAGES) {
    for (const { language, text } of blocksOf(await Deno.readTextFile(path))) {
      if (language !== "jsonc") continue;
      seen++;
      const loaded = await readConfig({
        path: "/etc/bellhook/config.json",
        text: text.startsWith("{") ? text : `{${text}}`,
        sources: {
          env: secretNamed,
          file: (name) => Promise.resolve(secretNamed(name)),
          credential: (name) => Promise.resolve(secretNamed(name)),
        },
      });
      const problems = [...loaded.ok ? [] : loaded.problems, ...loaded.warnings];
      assertEquals(problems.map((problem) => formatProblem(problem)), [], `${path}\n${text}`);
    }
  }
  assert(seen >= 8, `${seen} configs`);
});

Deno.test("handbook: the metrics, alerts and environment variables that it names are there", async () => {
  const known = (await Promise.all([
    "src/engine_metrics.ts",
    "src/runtime/measures.ts",
    "monitoring/alerts.yml",
    "src/cli/cli.ts",
    "tests/clock/clock_test.ts",
  ].map((path) => Deno.readTextFile(path)))).join("\n");
  for (const path of PAGES) {
    const page = await Deno.readTextFile(path);
    for (const [, name] of page.matchAll(/`\$?(bellhook_[a-z_]+|Bellhook[A-Z]\w+|BELLHOOK_\w+)/g)) {
      assert(known.includes(name!), `${path}: ${name}`);
    }
  }
});

/** In a form that all take: another for each name. */
function secretNamed(name: string): string {
  return `whsec_${btoa(name.padEnd(32, "-").slice(-32))}`;
}
