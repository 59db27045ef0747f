import { assert, assertEquals } from "@std/assert";
import { BackgroundOutput } from "../../src/runtime/background_output.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { until } from "../support/until.ts";

/** A place to write to that takes what it is told to. */
function aPlace() {
  const clock = new FakeClock();
  let written = "";
  let takes: PromiseWithResolvers<void> | undefined;
  let error: Error | undefined;
  const output = new BackgroundOutput({
    clock,
    dropped: (lines) => `dropped ${lines}\n`,
    async write(bytes) {
      if (error) throw error;
      await takes?.promise;
      written += new TextDecoder().decode(bytes);
    },
  });
  return {
    clock,
    output,
    lines: () => written.split("\n").slice(0, -1),
    block: () => takes = Promise.withResolvers(),
    unblock() {
      takes?.resolve();
      takes = undefined;
    },
    fail: (with_: Error | undefined) => error = with_,
  };
}

Deno.test("background output: lines come out in their order", async () => {
  const { output, lines, block, unblock } = aPlace();
  block();
  for (let n = 0; n < 1_000; n++) output.write(`${n}\n`);
  unblock();
  assert(await output.flush(1_000));
  assertEquals(lines(), Array.from({ length: 1_000 }, (_, n) => String(n)));
  assertEquals(output.droppedLines, 0);
});

Deno.test("background output: what nobody reads is bounded, counted and told once it flows again", async () => {
  const { output, lines, block, unblock, clock } = aPlace();
  block();
  const line = `${"x".repeat(99)}\n`;
  for (let n = 0; n < 30_000; n++) output.write(line);
  // The process that ends does not wait for ever.
  const flushed = output.flush(2_000);
  clock.advance(2_000);
  assertEquals(await flushed, false);
  unblock();
  await until(() => lines().some((text) => text.startsWith("dropped")));
  output.write("after\n");
  assert(await output.flush(1_000));
  const kept = lines().filter((text) => text.startsWith("x")).length;
  assert(kept > 9_000 && kept * 100 <= 1024 * 1024, `${kept} lines were kept`);
  assertEquals(output.droppedLines, 30_000 - kept);
  assertEquals(lines().slice(kept), [`dropped ${30_000 - kept}`, "after"]);
});

Deno.test("background output: an error costs what could not be written, and no more", async () => {
  const { output, lines, fail, clock } = aPlace();
  fail(new Error("No space left on device"));
  output.write("one\ntwo\n");
  await until(() => output.droppedLines === 2);
  fail(undefined);
  output.write("three\n");
  const flushed = output.flush(10_000);
  await until(() => {
    clock.advance(100);
    return lines().length === 2;
  });
  assert(await flushed);
  assertEquals(lines(), ["three", "dropped 2"]);
});
