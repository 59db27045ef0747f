import { assertEquals } from "@std/assert";
import { machineFault } from "../../src/transport/machine_fault.ts";
import { startRawServer } from "../support/raw_server.ts";

Deno.test({
  name: "lacking: without descriptors neither an address nor a name is the receiver's failure",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using server = startRawServer();
    const child = new URL("./lacking_child.ts", import.meta.url).pathname;
    const { stdout, stderr } = await new Deno.Command("sh", {
      args: ["-c", 'ulimit -n 64 && exec "$0" "$@"', Deno.execPath(), "run", "-q", "--no-check"]
        .concat(["--allow-net", "--allow-read", "--allow-sys", child, server.url])
        // Every name server knows that there is no such name.
        .concat([`http://receiver.invalid:${server.port}/`]),
    }).output();
    const lines = new TextDecoder().decode(stdout).trim().split("\n");
    const said = new TextDecoder().decode(stderr);
    assertEquals(lines.slice(0, 3), ["lacks descriptors", "lacks descriptors", "200"], said);
  },
});

Deno.test("lacking: what the system's errors say of this machine", () => {
  const lackOf = (code: string, address = "192.0.2.1") =>
    machineFault(Object.assign(new Error("?"), { code }), address)?.lack;
  assertEquals(lackOf("EMFILE"), "descriptors");
  assertEquals(lackOf("ENFILE"), "descriptors");
  assertEquals(lackOf("ENOMEM"), "memory");
  assertEquals(lackOf("ENOBUFS"), "memory");
  assertEquals(lackOf("EAI_MEMORY"), "memory");
  assertEquals(lackOf("ENETDOWN"), "network");
  assertEquals(lackOf("EADDRNOTAVAIL"), "ports");
  for (const code of ["ECONNREFUSED", "ETIMEDOUT", "EHOSTUNREACH", "ECONNRESET", "ENOTFOUND"]) {
    assertEquals(lackOf(code), undefined, code);
  }
});
