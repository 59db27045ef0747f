import { assert, assertEquals, assertMatch } from "@std/assert";
import { deliveryId, parseDeliveryId } from "../../src/outbox/ids.ts";
import { fc } from "../support/properties.ts";

const aPosition = fc.record({
  createdAt: fc.nat({ max: 2 ** 48 - 1 }),
  seq: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
});

Deno.test("delivery ids: say what they were made of", () => {
  fc.assert(fc.property(aPosition, (position) => {
    const id = deliveryId(position);
    assertMatch(id, /^dlv_[0-7][0-9A-HJKMNP-TV-Z]{25}$/);
    assertEquals(parseDeliveryId(id), position);
  }));
});

Deno.test("delivery ids: sort by age, then by number", () => {
  fc.assert(fc.property(aPosition, aPosition, (a, b) => {
    const earlier = a.createdAt - b.createdAt || a.seq - b.seq;
    const [left, right] = [deliveryId(a), deliveryId(b)];
    assertEquals(Math.sign(earlier), left < right ? -1 : left > right ? 1 : 0);
  }));
});

Deno.test("delivery ids: any other text is none", () => {
  for (const text of ["", "dlv_", "01HS0000000000000000000001", "dlv_01hs0000000000000000000001"]) {
    assertEquals(parseDeliveryId(text), undefined);
  }
  fc.assert(fc.property(fc.string(), (text) => {
    const position = parseDeliveryId(text);
    assert(position === undefined || deliveryId(position) === text);
  }));
});
