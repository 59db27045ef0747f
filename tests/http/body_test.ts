import { assert, assertEquals, assertRejects } from "@std/assert";
import { readText } from "../../src/http/body.ts";
import { ProblemError } from "../../src/http/problem.ts";
import { FakeClock } from "../support/fake_clock.ts";

/** A body that comes byte by byte, and what is held of memory when its last byte comes. */
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

Deno.test("body: of one that comes byte by byte no more is kept than of another", async () => {
  const text = "é".repeat(200_000);
  const { request, held } = bytewise(text);
  const before = Deno.memoryUsage().heapUsed;
  assertEquals(await readText(request, { maxBytes: 400_000, clock: new FakeClock() }), text);
  const heldBytes = held.bytes - before;
  assert(heldBytes < 40_000_000, `${heldBytes} bytes were held`);
});

Deno.test("body: one that comes byte by byte is too large by its last byte", async () => {
  const { request } = bytewise("x".repeat(1_001));
  await assertRejects(
    () => readText(request, { maxBytes: 1_000, clock: new FakeClock() }),
    ProblemError,
    "larger than server.maxBody",
  );
});
