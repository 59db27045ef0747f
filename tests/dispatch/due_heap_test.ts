import { assertEquals } from "@std/assert";
import fc from "fast-check";
import { DueHeap } from "../../src/dispatch/due_heap.ts";

Deno.test("DueHeap: gives what is due in its order and keeps the rest", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100)), fc.nat(100), (instants, now) => {
      const heap = new DueHeap<number>();
      for (const at of instants) heap.push(at, at);
      const due: number[] = [];
      for (let item = heap.popDue(now); item !== undefined; item = heap.popDue(now)) due.push(item);
      const inOrder = instants.toSorted((a, b) => a - b);
      assertEquals(due, inOrder.filter((at) => at <= now));
      assertEquals([heap.size, heap.nextAt], [
        instants.length - due.length,
        inOrder.find((at) => at > now),
      ]);
    }),
    { numRuns: 500 },
  );
});
