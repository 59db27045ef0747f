import { assertEquals } from "@std/assert";
import { DueHeap } from "../../src/dispatch/due_heap.ts";
import { fc } from "../support/properties.ts";

Deno.test("DueHeap: gives what is due in its order and keeps the rest", () => {
  fc.assert(
    fc.property(fc.array(fc.nat(100)), fc.nat(100), (instants, now) => {
      const heap = new DueHeap<{ at: number }>();
      for (const at of instants) heap.push(at, { at });
      const due: number[] = [];
      for (let item = heap.popDue(now); item; item = heap.popDue(now)) due.push(item.at);
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

Deno.test("DueHeap: holds an item once, at the earliest of its instants", () => {
  const pushes = fc.array(fc.tuple(fc.nat(100), fc.constantFrom("a", "b", "c", "d")));
  fc.assert(
    fc.property(pushes, (pushes) => {
      const heap = new DueHeap<string>();
      const earliest = new Map<string, number>();
      for (const [at, item] of pushes) {
        heap.push(at, item);
        earliest.set(item, Math.min(at, earliest.get(item) ?? Infinity));
      }
      assertEquals(heap.size, earliest.size);
      const popped: number[] = [];
      for (let item = heap.popDue(100); item; item = heap.popDue(100)) {
        popped.push(earliest.get(item)!);
        earliest.delete(item);
      }
      assertEquals(popped, popped.toSorted((a, b) => a - b));
      assertEquals([heap.size, earliest.size], [0, 0]);
    }),
    { numRuns: 500 },
  );
});
