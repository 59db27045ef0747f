import { assert, assertEquals, assertRejects } from "@std/assert";
import { readText } from "../../src/http/body.ts";
import { ProblemError } from "../../src/http/problem.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A body that arrives byte by byte, and the memory in use at its last byte. */
function bytewise(text: string) {
  const sent = new TextEncoder().encode(text);
  let at = 0;
  const held = { bytes: 0 };
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull(controller) {
      if (at === sent.length) {
        held.bytes = Deno.memoryUsage().heapUsed;
        return controller.close();
      }
      controller.enqueue(sent.slice(at, ++at));
    },
  }, { highWaterMark: 0 });
  const bytes = () => new Response(body).bytes();
  return { held, request: { headers: new Headers(), body, bytes } };
}

Deno.test("body: one that arrives byte by byte takes no more memory than another", async () => {
  const text = "é".repeat(200_000);
  const { request, held } = bytewise(text);
  const before = Deno.memoryUsage().heapUsed;
  assertEquals(await readText(request, { maxBytes: 400_000, clock: new FakeClock() }), text);
  const heldBytes = held.bytes - before;
  assert(heldBytes < 40_000_000, `${heldBytes} bytes were held`);
});

Deno.test("body: one that arrives byte by byte is too large at its last byte", async () => {
  const { request } = bytewise("x".repeat(1_001));
  await assertRejects(
    () => readText(request, { maxBytes: 1_000, clock: new FakeClock() }),
    ProblemError,
    "larger than server.maxBody",
  );
});
