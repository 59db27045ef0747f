import { assert, assertEquals } from "@std/assert";
import { MUTATIONS } from "./mutations.ts";

Deno.test("mutations: each takes away a text that stands where it says, once", async () => {
  const wrong: string[] = [];
  for (const { defence, file, text } of MUTATIONS) {
    const count = (await Deno.readTextFile(`src/${file}`)).split(text).length - 1;
    if (count !== 1) wrong.push(`${defence}: stands ${count} times in src/${file}`);
  }
  assertEquals(wrong, []);
  assert(MUTATIONS.length >= 30);
});

Deno.test("mutations: each has a name of its own, and tests that are there", async () => {
  const names = MUTATIONS.map(({ defence }) => defence);
  assertEquals(names.filter((name, index) => names.indexOf(name) < index), []);
  for (const path of new Set(MUTATIONS.flatMap(({ tests }) => tests))) {
    await Deno.stat(`tests/${path}`);
  }
});
