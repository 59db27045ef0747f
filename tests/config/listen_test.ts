import { assertEquals } from "@std/assert";
import { isLocal, parseListen } from "../../src/config/listen.ts";
import type { Listen } from "../../src/config/config.ts";

Deno.test("listen: what counts as local is bound as such, and no name server is asked", () => {
  const hosts = ["localhost", "foo.localhost", "LOCALHOST.", "127.1", "0x7f.0.0.1", "127.0.0.1"];
  for (const host of hosts) {
    const listen = parseListen(`${host}:8420`, "/");
    assertEquals(listen, { kind: "tcp", host: "127.0.0.1", port: 8420 }, host);
    assertEquals(isLocal(listen as Listen), true, host);
  }
  assertEquals(parseListen("[::1]:1", "/"), { kind: "tcp", host: "::1", port: 1 });
});

Deno.test("listen: other names and addresses are what they are, and not local", () => {
  for (const host of ["bellhook.example", "192.0.2.1", "localhost.example", "0.0.0.0"]) {
    const listen = parseListen(`${host}:8420`, "/");
    assertEquals(listen, { kind: "tcp", host, port: 8420 });
    assertEquals(isLocal(listen as Listen), false, host);
  }
});
