import { assert, assertEquals } from "@std/assert";
import { openFilesLimit, readLimit, sharesOf } from "../../src/runtime/descriptors.ts";

Deno.test("descriptors: what is shared out, and what the daemon needs itself, fit the limit", () => {
  for (const limit of [64, 100, 128, 256, 1_024, 4_096, 65_536, 1_048_576]) {
    const { outgoing, incoming } = sharesOf(limit);
    assert(outgoing >= 8 && incoming >= 8, `${limit}: ${outgoing}, ${incoming}`);
    assert(limit - outgoing - incoming >= 44, `${limit} leaves ${limit - outgoing - incoming}`);
  }
});

Deno.test("descriptors: a limit below any use still leaves both sides a few", () => {
  for (const limit of [0, 16, 44, 52]) {
    const { outgoing, incoming } = sharesOf(limit);
    assertEquals([outgoing, incoming], [4, 4]);
  }
});

Deno.test("descriptors: no limit is no limit for anybody", () => {
  const { outgoing, incoming } = sharesOf(Infinity);
  assertEquals([outgoing, incoming], [Infinity, Infinity]);
});

Deno.test("descriptors: what a shell says of the limit", () => {
  const said = { "1024\n": 1_024, "unlimited\n": Infinity, "": undefined, "-1\n": undefined };
  for (const [text, limit] of Object.entries(said)) assertEquals(readLimit(text), limit, text);
});

Deno.test({
  name: "descriptors: the limit of this process is learnt",
  ignore: Deno.build.os === "windows",
  async fn() {
    const limit = await openFilesLimit();
    assert(limit !== undefined && limit >= 64, `${limit}`);
  },
});
