import { assert, assertEquals, assertThrows } from "@std/assert";
import { BadRequest, readHead } from "../../src/server/request_head.ts";
import { cpuMs } from "../support/cpu_time.ts";

/** A head is read in one way or refused: what two programs read in two ways lets one be deceived. */

const LINE = "POST /v1/events HTTP/1.1\r\nHost: a";

Deno.test("head: method, target, headers and framing as they stand", () => {
  const head = readHead(`${LINE}\r\nX-Two: one\r\nx-two:\ttwo \t\r\nEmpty:\r\nContent-Length: 12`);
  assertEquals([head.method, head.target, head.keepsAlive], ["POST", "/v1/events", true]);
  assertEquals(head.headers.entries(), [
    ["host", "a"],
    ["x-two", "one"],
    ["x-two", "two"],
    ["empty", ""],
    ["content-length", "12"],
  ]);
  assertEquals(head.headers.get("X-TWO"), "one, two");
  assertEquals(head.headers.get("none"), null);
  assertEquals(head.framing, { kind: "length", bytes: 12 });
});

Deno.test("head: thousands of spaces within a value hold the loop for no time", () => {
  const value = `a${" ".repeat(60_000)}b`;
  const startedMs = cpuMs();
  const head = readHead(`${LINE}\r\nX: ${value} \t`);
  assert(cpuMs() - startedMs < 50);
  assertEquals(head.headers.get("x"), value);
});

Deno.test("head: an offer to go on in another protocol changes nothing", () => {
  const offer = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAE";
  const head = readHead(`${LINE}\r\n${offer}\r\nContent-Length: 2`);
  assertEquals([head.keepsAlive, head.framing], [true, { kind: "length", bytes: 2 }]);
});

Deno.test("head: how long a connection lasts", () => {
  const keeps = (version: string, connection: string) =>
    readHead(`GET / HTTP/${version}\r\nHost: a${connection && `\r\nConnection: ${connection}`}`)
      .keepsAlive;
  assertEquals(
    [
      keeps("1.1", ""),
      keeps("1.1", "close"),
      keeps("1.1", "Upgrade, Close"),
      keeps("1.1", "closed"),
    ],
    [true, false, false, true],
  );
  assertEquals([keeps("1.0", ""), keeps("1.0", "Keep-Alive")], [false, true]);
});

Deno.test("head: bytes that are no ASCII are percent-encoded in a target", () => {
  assertEquals(readHead("GET /\xc3\xa9?q=\xff HTTP/1.1\r\nHost: a").target, "/%C3%A9?q=%FF");
});

Deno.test("head: what could be read in two ways is refused", () => {
  const chunked = "Transfer-Encoding: chunked";
  const refused = [
    "",
    "GET / HTTP/1.1\nHost: a",
    "GET  / HTTP/1.1\r\nHost: a",
    "GET /a b HTTP/1.1\r\nHost: a",
    "GET /a#b HTTP/1.1\r\nHost: a",
    "GET /\t HTTP/1.1\r\nHost: a",
    "GET / HTTP/2.0\r\nHost: a",
    "GET / http/1.1\r\nHost: a",
    "G T / HTTP/1.1\r\nHost: a",
    "G(T / HTTP/1.1\r\nHost: a",
    ` ${LINE}`,
    `${LINE}\r\nHost: a`,
    `${LINE}\r\nHost : a`,
    `${LINE}\r\n X: folded`,
    `${LINE}\r\n: nothing`,
    `${LINE}\r\nNo-Colon`,
    `${LINE}\r\nX\0: a`,
    `${LINE}\r\nX: a\0b`,
    `${LINE}\r\nX: a\rb`,
    `${LINE}\r\nX: a\nContent-Length: 3`,
    `${LINE}\r\nX: a\x7fb`,
    `${LINE}\r\nContent-Length: 3\r\nContent-Length: 3`,
    `${LINE}\r\nContent-Length: 3, 3`,
    `${LINE}\r\nContent-Length: +3`,
    `${LINE}\r\nContent-Length: 0x3`,
    `${LINE}\r\nContent-Length: -1`,
    `${LINE}\r\nContent-Length:`,
    `${LINE}\r\nContent-Length: 3\u00a0`,
    `${LINE}\r\nContent-Length: ${"9".repeat(16)}`,
    `${LINE}\r\nContent-Length: 3\r\n${chunked}`,
    `${LINE}\r\n${chunked}\r\n${chunked}`,
    `${LINE}\r\n${chunked}, identity`,
    `${LINE}\r\nTransfer-Encoding: gzip, chunked`,
    `${LINE}\r\nTransfer-Encoding: xchunked`,
    `${LINE}\r\nTransfer-Encoding:`,
    `POST / HTTP/1.0\r\nHost: a\r\n${chunked}`,
    "POST / HTTP/1.1\r\nX: y",
    `${LINE}\r\nHost: a`,
    LINE + "\r\nX: y".repeat(100),
  ];
  for (const text of refused) assertThrows(() => readHead(text), BadRequest, undefined, text);
});
