/**
 * `deno task mutate`: takes one defence away at a time, in a copy of the tree, and says which test
 * saw it go. `--only WORD` tries those whose defence or file has the word, `--from N`
 * leaves out what stands before the Nth.
 */
import { parseArgs } from "node:util";
import { type Mutation, MUTATIONS } from "./mutations.ts";

/** What became of a mutation. */
type Fate =
  | { readonly kind: "caught"; readonly by: readonly string[] }
  | { readonly kind: "not caught" }
  /** The text is not there once, or no test could run. */
  | { readonly kind: "broken"; readonly why: string };

/** The tests of one mutation end sooner, or are taken to hang for want of what was taken away. */
const PATIENCE_MS = 180_000;

/** What the copy needs beside src/ and tests/. */
const ALSO = /^(deno\.jsonc?|deno\.lock|main\.ts|config\..*|README\.md|monitoring|packaging)$/;

const { values } = parseArgs({
  options: { only: { type: "string", default: "" }, from: { type: "string", default: "1" } },
});
const folder = await Deno.makeTempDir({ prefix: "bellhook-mutate-" });
try {
  await copyTree(folder);
  Deno.exitCode = await tryAll(folder, chosen(values)) ? 0 : 1;
} finally {
  await Deno.remove(folder, { recursive: true });
}

function chosen({ only, from }: { only: string; from: string }): Mutation[] {
  return MUTATIONS.slice(Number(from) - 1)
    .filter(({ defence, file }) => defence.includes(only) || file.includes(only));
}

/** Whether all were caught. */
async function tryAll(folder: string, mutations: readonly Mutation[]): Promise<boolean> {
  let isAllCaught = true;
  console.log("| without | caught by |\n|---|---|");
  for (const mutation of mutations) {
    const fate = await fateOf(mutation, folder);
    isAllCaught &&= fate.kind === "caught";
    console.log(`| ${mutation.defence} | ${tell(fate)} |`);
  }
  return isAllCaught;
}

function tell(fate: Fate): string {
  if (fate.kind === "not caught") return "**nothing**";
  if (fate.kind === "broken") return `**broken:** ${fate.why}`;
  const [first, ...others] = fate.by;
  return others.length === 0 ? first! : `${first} (and ${others.length} more)`;
}

async function fateOf({ file, text, replacement, tests }: Mutation, folder: string): Promise<Fate> {
  const path = `${folder}/src/${file}`;
  const original = await Deno.readTextFile(path);
  const count = original.split(text).length - 1;
  if (count !== 1) return { kind: "broken", why: `the text stands ${count} times in src/${file}` };
  await Deno.writeTextFile(path, original.replace(text, () => replacement));
  try {
    return await runTests(tests, folder);
  } finally {
    await Deno.writeTextFile(path, original);
  }
}

async function runTests(tests: readonly string[], folder: string): Promise<Fate> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["test", "-q", "--no-check", "-A", ...tests.map((path) => `tests/${path}`)],
    cwd: folder,
    env: { NO_COLOR: "1" },
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let isTooLate = false;
  const timer = setTimeout(() => {
    isTooLate = true;
    child.kill("SIGKILL");
  }, PATIENCE_MS);
  const { success, stdout, stderr } = await child.output();
  clearTimeout(timer);
  const said = new TextDecoder().decode(stdout);
  // As they are listed at the end: what runs for long is told of in between.
  const failed = [
    ...new Set([...said.matchAll(/^(\S.*) => \.\/tests\//gm)].map(([, name]) => name!)),
  ];
  if (failed.length > 0) return { kind: "caught", by: failed };
  if (isTooLate) return { kind: "caught", by: [`${tests.join(", ")}, which did not end`] };
  if (success) return { kind: "not caught" };
  const lastWords = (said + new TextDecoder().decode(stderr)).trim().split("\n").at(-1) ?? "";
  return { kind: "broken", why: `no test failed, and yet: ${lastWords}` };
}

async function copyTree(to: string): Promise<void> {
  for await (const { name } of Deno.readDir(".")) {
    if (name === "src" || name === "tests" || ALSO.test(name)) await copy(name, `${to}/${name}`);
  }
}

async function copy(from: string, to: string): Promise<void> {
  if ((await Deno.stat(from)).isFile) return await Deno.copyFile(from, to);
  await Deno.mkdir(to);
  for await (const { name } of Deno.readDir(from)) await copy(`${from}/${name}`, `${to}/${name}`);
}
