import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { packingNote, type Response } from "../../src/domain/attempt.ts";
import { unpack } from "../../src/transport/unpack.ts";

const TEXT = '{"error":"no such room"}'.repeat(20);

function packed(packing: string, body: Uint8Array, truncated = false): Response {
  return { status: 500, headers: [["Content-Encoding", packing]], body, truncated, packing };
}

const text = ({ body }: Response) => new TextDecoder().decode(body);

Deno.test("unpack(): what receivers pack answers with is unpacked", async () => {
  const bodies: [string, Uint8Array][] = [
    ["gzip", zlib.gzipSync(TEXT)],
    ["x-gzip", zlib.gzipSync(TEXT)],
    ["deflate", zlib.deflateSync(TEXT)],
    ["deflate", zlib.deflateRawSync(TEXT)],
    ["br", zlib.brotliCompressSync(TEXT)],
    ["identity", Buffer.from(TEXT)],
  ];
  for (const [packing, body] of bodies) {
    const response = await unpack(packed(packing, body));
    assertEquals(text(response), TEXT, packing);
    assertEquals([response.truncated, response.packing], [false, undefined], packing);
    assertEquals(response.headers, [["Content-Encoding", packing]]);
  }
});

Deno.test("unpack(): of a bomb 64 KiB come out", async () => {
  const zeros = new Uint8Array(64 * 1024 * 1024);
  for (
    const [packing, body] of [["gzip", zlib.gzipSync(zeros)], [
      "br",
      zlib.brotliCompressSync(zeros),
    ]]
  ) {
    const before = Deno.memoryUsage().rss;
    const response = await unpack(packed(packing as string, body as Uint8Array));
    assertEquals([response.body.length, response.truncated], [65_536, true]);
    assert(Deno.memoryUsage().rss - before < 32 * 1024 * 1024, "it takes no memory");
  }
});

Deno.test("unpack(): what was cut off is unpacked as far as it came", async () => {
  // What doesn't repeat takes room.
  const long = Array.from({ length: 2_000 }, (_, i) => `${i * 7_919 % 10_007},`).join("");
  for (const pack of [zlib.gzipSync, zlib.brotliCompressSync]) {
    const body = pack(long);
    const packing = pack === zlib.gzipSync ? "gzip" : "br";
    const response = await unpack(packed(packing, body.subarray(0, body.length / 2), true));
    assert(response.body.length > 1_000, `${packing}: ${response.body.length}`);
    assertEquals(long.startsWith(text(response)), true);
    assertEquals(response.truncated, true);
  }
});

Deno.test("unpack(): what can't be unpacked stays as it came, and says so", async () => {
  for (const packing of ["gzip", "deflate", "br", "zstd", "gzip, br", "", "constructor"]) {
    const response = await unpack(packed(packing, Buffer.from("not really")));
    assertEquals([text(response), response.packing], ["not really", packing]);
    if (packing !== "") {
      assertStringIncludes(packingNote(response)!, `compressed with "${packing}"`);
    }
  }
});
