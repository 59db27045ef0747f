import { assertEquals } from "@std/assert";
import { ResponseHeadCache } from "../../src/transport/response_head_cache.ts";
import { MAX_RESPONSE_HEAD_BYTES, ResponseReader } from "../../src/transport/response_reader.ts";

const latin1 = (text: string) => Uint8Array.from(text, (letter) => letter.charCodeAt(0));

/** A reader that has been given these pieces. */
function after(...pieces: readonly string[]) {
  const reader = new ResponseReader(new ResponseHeadCache());
  const readings = pieces.map((piece) => reader.take(latin1(piece)));
  return { reader, reading: readings.at(-1), body: new TextDecoder().decode(reader.body()) };
}

Deno.test("take(): an answer that comes at once, or in any two pieces, is the same", () => {
  const text = "\r\nHTTP/1.1 103 Hi\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\nX:  a b \r\nEmpty:\r\n" +
    'transfer-encoding: gzip, Chunked\r\n\r\n2;a="b"\r\nok\r\n001\r\n!\r\n0\r\nT: x\r\n\r\nmore';
  for (let cut = 0; cut <= text.length; cut++) {
    const { reader, body } = after(text.slice(0, cut), text.slice(cut));
    assertEquals(reader.head, {
      status: 200,
      headers: [["X", "a b"], ["Empty", ""], ["transfer-encoding", "gzip, Chunked"]],
    });
    assertEquals([body, reader.keepsConnection], ["ok!", true], `cut at ${cut}`);
  }
});

Deno.test("take(): what follows the answer is counted and not read", () => {
  const { reader, reading } = after("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP");
  assertEquals([reading, reader.surplusBytes], ["whole", 4]);
});

Deno.test("take(): a head of 32 KiB is read, and one of a byte more is not", () => {
  const head = (size: number) => {
    const frame = "HTTP/1.1 204 OK\r\nX: \r\n\r\n";
    return frame.replace("X: ", `X: ${"a".repeat(size - frame.length)}`);
  };
  const tooLarge = "the response head is larger than 32KiB";
  for (const pieces of [1, 3, 1_000]) {
    const inPieces = (text: string) => {
      const length = Math.ceil(text.length / pieces);
      return after(...text.match(new RegExp(`[^]{1,${length}}`, "g"))!);
    };
    assertEquals(inPieces(head(MAX_RESPONSE_HEAD_BYTES)).reading, "whole");
    assertEquals(inPieces(head(MAX_RESPONSE_HEAD_BYTES + 1)).reader.fault, tooLarge);
  }
  const interim = "HTTP/1.1 103 Hi\r\n\r\n".repeat(100);
  assertEquals(after(interim, head(MAX_RESPONSE_HEAD_BYTES - interim.length)).reading, "whole");
  assertEquals(after(interim, head(MAX_RESPONSE_HEAD_BYTES)).reader.fault, tooLarge);
});

Deno.test("take(): trailers have a limit of their own", () => {
  const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n";
  const { reader } = after(chunked, `X: ${"a".repeat(MAX_RESPONSE_HEAD_BYTES)}`);
  assertEquals(reader.fault, "the response trailer is larger than 32KiB");
});

Deno.test("take(): a megabyte of framing is enough, however little it frames", () => {
  const { reader } = after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a=");
  let reading = reader.take(latin1(""));
  let taken = 0;
  for (; reading === "unfinished"; taken += 1_024) reading = reader.take(latin1("a".repeat(1_024)));
  assertEquals([reading, taken], ["truncated", 1024 * 1024]);
});

Deno.test("end(): only an answer without a length ends with the connection", () => {
  const ended = (text: string, cleanly: boolean) => after(text).reader.end({ cleanly });
  assertEquals(ended("HTTP/1.1 200 OK\r\n\r\nto the e", true), "whole");
  assertEquals(ended("HTTP/1.1 200 OK\r\n\r\nto the e", false), "truncated");
  assertEquals(ended("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nto", true), "unfinished");
  assertEquals(ended("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", true), "unfinished");
  assertEquals(ended("HTTP/1.1 200", true), "unfinished");
});

Deno.test("body(): a short one stays as it came, whatever is read after it", () => {
  const wire = latin1("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst");
  const first = new ResponseReader(new ResponseHeadCache());
  first.take(wire);
  // The next answer lies in the same buffer.
  wire.fill(0x78);
  for (let i = 0; i < 10_000; i++) after(`HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmore`);
  assertEquals(new TextDecoder().decode(first.body()), "first");
});
