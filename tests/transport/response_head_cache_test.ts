import { assert, assertEquals } from "@std/assert";
import type { Headers } from "../../src/domain/attempt.ts";
import { ResponseHeadCache } from "../../src/transport/response_head_cache.ts";

/** What a head comes to, and whether it had to be read. */
function lookUp(heads: ResponseHeadCache, text: string, headers: Headers = []) {
  let wasRead = false;
  const fields = heads.of(text, () => {
    wasRead = true;
    return headers;
  });
  return { ...fields, wasRead };
}

Deno.test("known heads: a head is read once, and its fields and framing stay", () => {
  const heads = new ResponseHeadCache();
  const headers: Headers = [["Content-Length", "2"]];
  const first = lookUp(heads, "HTTP/1.1 200\r\nContent-Length: 2", headers);
  assertEquals([first.wasRead, first.headers], [true, headers]);
  assert(typeof first.framing === "object");
  assertEquals(first.framing.length, 2);
  const again = lookUp(heads, "HTTP/1.1 200\r\nContent-Length: 2");
  assertEquals(again, { ...first, wasRead: false });
  const other = lookUp(heads, "HTTP/1.1 200\r\nContent-Length: x", [["Content-Length", "x"]]);
  assertEquals(other.framing, "its Content-Length is no number");
});

Deno.test("known heads: long ones are read each time, and many make room for others", () => {
  const heads = new ResponseHeadCache();
  const isRead = (text: string) => lookUp(heads, text).wasRead;
  const longest = "x".repeat(1_024);
  assertEquals([isRead(longest), isRead(longest)], [true, false]);
  assertEquals([isRead(`${longest}x`), isRead(`${longest}x`)], [true, true]);
  for (let i = 1; i < 256; i++) isRead(`head ${i}`);
  assertEquals([isRead(longest), isRead("one more"), isRead(longest)], [false, true, true]);
});
