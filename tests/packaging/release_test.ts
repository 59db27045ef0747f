import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { TARGETS } from "../../packaging/target.ts";

const RELEASE = await Deno.readTextFile(".github/workflows/release.yml");

Deno.test("release: the workflow wants files for every target that is built", () => {
  const [, names] = /for target in (.+); do/.exec(RELEASE)!;
  assertEquals(names!.split(" "), TARGETS.map(({ name }) => name));
});

Deno.test("release: licenses, the bill of materials and checksums go with it", () => {
  for (const part of ["THIRD_PARTY_NOTICES", " licenses ", ".cdx.json", "SHA256SUMS"]) {
    assertStringIncludes(RELEASE, part);
  }
});

Deno.test("release: the workflows use the Deno that the launcher wants, and run what CI runs", async () => {
  const [, wanted] = /^wanted=(\S+)$/m.exec(await Deno.readTextFile("bellhook"))!;
  const used = [...RELEASE.matchAll(/deno@(\S+)/g)].map(([, version]) => version);
  assert(used.length > 0);
  assertEquals(new Set(used), new Set([wanted]));
  assertStringIncludes(await Deno.readTextFile(".github/workflows/ci.yml"), " .ci/run\n");
});
