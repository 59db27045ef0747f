import { assertEquals } from "@std/assert";
import { blockOf, clientAddress } from "../../src/http/client_address.ts";

const NGINX = "10.0.0.1", CDN = "2001:db8:c::7", CLIENT = "203.0.113.9";
const BOTH = ["10.0.0.0/8", "2001:db8:c::/48"];

/** The header, the peer, the trusted proxies, and the resulting address. */
const CASES: readonly [
  why: string,
  peer: string | undefined,
  forwardedFor: string | null,
  trustProxy: readonly string[],
  address: string,
][] = [
  ["nobody is trusted", NGINX, CLIENT, [], NGINX],
  ["the peer is no proxy", CLIENT, "1.2.3.4", BOTH, CLIENT],
  ["the proxy says nothing", NGINX, null, BOTH, NGINX],
  ["one proxy", NGINX, CLIENT, BOTH, CLIENT],
  ["the client wrote a header itself", NGINX, `1.2.3.4, 127.0.0.1, ${CLIENT}`, BOTH, CLIENT],
  ["the client wrote a trusted address", NGINX, `${NGINX}, ${CLIENT}`, BOTH, CLIENT],
  ["two proxies", NGINX, `1.2.3.4,${CLIENT} , ${CDN}`, BOTH, CLIENT],
  ["the second is not trusted", NGINX, `${CLIENT}, ${CDN}`, ["10.0.0.1"], CDN],
  ["all are proxies", NGINX, `${CDN}, 10.9.9.9`, BOTH, CDN],
  ["with ports", NGINX, `${CLIENT}:4711, [${CDN}]:443`, BOTH, CLIENT],
  ["in brackets", NGINX, `[2001:DB8:0:0::1]`, BOTH, "2001:db8::1"],
  ["no address", NGINX, `${CLIENT}, unknown`, BOTH, NGINX],
  ["nothing between commas", NGINX, `${CLIENT},,`, BOTH, NGINX],
  ["an empty header", NGINX, "", BOTH, NGINX],
  ["a leading comma", NGINX, `,${NGINX}`, BOTH, NGINX],
  ["a peer by its mapped address", `::ffff:${NGINX}`, CLIENT, BOTH, CLIENT],
  ["a client by its mapped address", NGINX, `::ffff:${CLIENT}`, BOTH, CLIENT],
  ["a proxy by its mapped network", NGINX, CLIENT, ["::ffff:10.0.0.0/104"], CLIENT],
  ["an IPv6 network is no IPv4 network", NGINX, CLIENT, ["::/0"], NGINX],
  ["octal digits are no address", NGINX, "010.0.0.1", BOTH, NGINX],
  ["a Unix socket", undefined, CLIENT, BOTH, "unix"],
  ["a trusted Unix socket", undefined, CLIENT, ["unix"], CLIENT],
  ["a trusted Unix socket that says nothing", undefined, null, ["unix"], "unix"],
  ["a header that says unix", NGINX, "1.2.3.4, unix", [...BOTH, "unix"], NGINX],
];

for (const [why, peer, forwardedFor, trustProxy, address] of CASES) {
  Deno.test(`clientAddress(): ${why}`, () => {
    assertEquals(clientAddress({ peer, forwardedFor, trustProxy }), address);
  });
}

Deno.test("clientAddress(): reads only a bounded part of a long header", () => {
  const forwardedFor = `${CLIENT},${`${NGINX},`.repeat(10_000)}${NGINX}`;
  assertEquals(clientAddress({ peer: NGINX, forwardedFor, trustProxy: BOTH }), NGINX);
});

Deno.test("blockOf(): an IPv4 address itself, the /64 of an IPv6 address", () => {
  assertEquals(blockOf("203.0.113.9"), "203.0.113.9");
  assertEquals(blockOf("2001:db8:1:2:3:4:5:6"), "2001:db8:1:2::/64");
  assertEquals(blockOf("::1"), "0:0:0:0::/64");
  assertEquals(blockOf("unix"), "unix");
});
