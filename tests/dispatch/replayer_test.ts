import { assertEquals } from "@std/assert";
import { Replayer } from "../../src/dispatch/replayer.ts";
import type { Outbox, Replay } from "../../src/outbox/outbox.ts";
import type { OutboxReader } from "../../src/outbox/reader.ts";
import { silentLog } from "../../src/runtime/log.ts";
import { SteadyClock } from "../../src/runtime/steady_clock.ts";
import { FakeClock } from "../support/fake_clock.ts";

Deno.test("replayer: a replay that begins while it looks for open ones is not overlooked", async () => {
  const clock = new FakeClock();
  const looks: ((open: Replay[]) => void)[] = [];
  const reader = { openReplays: () => new Promise<Replay[]>((resolve) => looks.push(resolve)) };
  const replayer = new Replayer({
    outbox: {} as Outbox,
    reader: reader as unknown as OutboxReader,
    clock,
    steady: new SteadyClock(clock),
    log: silentLog,
    isHeld: () => false,
    onDue: () => {},
    onCancelled: () => {},
  });
  replayer.wake();
  replayer.wake();
  looks[0]!([]);
  for (let turn = 0; turn < 10; turn++) await undefined;
  clock.advance(1_000);
  assertEquals(looks.length, 2);
  replayer.stop();
});
