import { assertEquals } from "@std/assert";
import { dirname, join, normalize } from "node:path";
import { anchorsOf, PAGES, proseOf } from "./pages.ts";

/** Their commands are for a checkout and take minutes, so the handbook's test leaves them out. */
const CONTRIBUTORS_PAGES = ["CONTRIBUTING.md", "SECURITY.md", "tests/README.md"];

Deno.test("handbook: every link leads to a file of the checkout, and every anchor to a heading", async () => {
  const dead: string[] = [];
  for (const path of [...PAGES, ...CONTRIBUTORS_PAGES]) {
    const page = await Deno.readTextFile(path);
    const links = [...proseOf(page).matchAll(/\]\(([^)\s]+)\)|<img [^>]*src="([^"]+)"/g)];
    for (const [, link, image] of links) {
      const target = link ?? image!;
      if (/^https?:/.test(target)) continue;
      if (!await leadsSomewhere(path, target)) dead.push(`${path}: ${target}`);
    }
  }
  assertEquals(dead, []);
});

async function leadsSomewhere(from: string, target: string): Promise<boolean> {
  const [file, anchor] = target.split("#") as [string, string | undefined];
  const path = file === "" ? from : normalize(join(dirname(from), file));
  try {
    if (anchor === undefined) return (await Deno.stat(path)).isFile || file.endsWith("/");
    return anchorsOf(await Deno.readTextFile(path)).has(anchor);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

Deno.test("handbook: every page of it can be reached from the README", async () => {
  const reached = new Set(["README.md"]);
  for (const path of reached) {
    const page = await Deno.readTextFile(path);
    for (const [, file] of page.matchAll(/\]\(([^)#:\s]+\.md)(?:#[^)]*)?\)/g)) {
      reached.add(normalize(join(dirname(path), file!)));
    }
  }
  assertEquals(PAGES.filter((path) => !reached.has(path)), []);
});
