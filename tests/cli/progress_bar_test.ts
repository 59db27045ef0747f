import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { progressBar, progressText } from "../../src/cli/progress_bar.ts";
import { systemTerminal } from "../../src/cli/terminal.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("progress: count, rate and what is left", () => {
  const text = (done: number, total: number, elapsedMs: number, since = done) =>
    progressText({ doing: "copying", done, total }, { elapsedMs, since });
  assertEquals(
    text(1_200_000, 4_800_000, 4_000),
    "copying [#####---------------]  25%  1.2M of 4.8M  300.0k/s  12s left",
  );
  assertEquals(text(10, 40, 100), "copying [#####---------------]  25%  10 of 40");
  assertStringIncludes(text(100, 1e6, 1_000), "2h46m left");
  assertStringIncludes(text(1_000, 1e6, 10_000, 500), "5h33m left");
  assertStringIncludes(text(50, 40, 1_000), "100%");
  assertStringIncludes(text(50, 40, 1_000), "0s left");
  assertEquals(progressText({ doing: "checking" }, { elapsedMs: 9_000, since: 0 }), "checking …");
  assertEquals(text(0, 0, 9_000), "copying …");
});

Deno.test("progress: is drawn on a terminal alone, after a second, ten times a second at most, and goes at the end", () => {
  const clock = new FakeClock();
  const drawnOn = (stderrIsTerminal: boolean, quiet: boolean) => {
    let stderr = "";
    const terminal = systemTerminal({ stderr: (text) => stderr += text, clock });
    const bar = progressBar({ ...terminal, stderrIsTerminal }, { quiet });
    for (let done = 0; done < 200; done++) {
      bar.show({ doing: "copying", done, total: 200 });
      clock.advance(10);
    }
    bar.show({ doing: "checking", done: 0, total: 5 });
    bar.end();
    return stderr;
  };
  assertEquals([drawnOn(false, false), drawnOn(true, true)], ["", ""]);
  const drawn = drawnOn(true, false);
  assertEquals(drawn.match(/copying/g)!.length, 10);
  assertEquals(drawn.match(/checking/g)!.length, 1);
  assert(drawn.endsWith("\r\x1b[K"));
});
