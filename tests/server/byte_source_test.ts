import { assert, assertEquals } from "@std/assert";
import { ByteSource } from "../../src/server/byte_source.ts";

Deno.test("byte source: a piece that is waited for holds no more than has come before it", async () => {
  const rooms: number[] = [];
  const source = new ByteSource({
    read(into) {
      rooms.push(into.length);
      return Promise.resolve(into.length);
    },
    write: (bytes) => Promise.resolve(bytes.length),
    closeWrite: () => Promise.resolve(),
    close() {},
  });
  const most = 64 * 1024;
  for (let arrived = 0; arrived < 4 * most;) {
    arrived += (await source.piece(most)).length;
    assert(rooms.at(-1)! <= arrived + 8 * 1024);
  }
  assertEquals(rooms.at(-1), most);
  source.shrink();
  await source.piece(most);
  assert(rooms.at(-1)! < most, "the next request begins anew");
});
