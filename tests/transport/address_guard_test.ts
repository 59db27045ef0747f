import { assertEquals } from "@std/assert";
import { hostKind, isForbidden, parseNetwork } from "../../src/transport/address_guard.ts";
import { fc } from "../support/properties.ts";

/** First and last address of every special block, and the neighbours that are public. */
const FORBIDDEN = [
  ["0.0.0.0", "0.255.255.255"],
  ["10.0.0.0", "10.255.255.255"],
  ["100.64.0.0", "100.127.255.255"],
  ["127.0.0.0", "127.255.255.255"],
  ["169.254.0.0", "169.254.169.254", "169.254.255.255"],
  ["168.63.129.16"],
  ["172.16.0.0", "172.31.255.255"],
  ["192.0.0.0", "192.0.0.192", "192.0.0.255"],
  ["192.0.2.0", "192.0.2.255"],
  ["192.88.99.0", "192.88.99.255"],
  ["192.168.0.0", "192.168.255.255"],
  ["198.18.0.0", "198.19.255.255"],
  ["198.51.100.0", "198.51.100.255"],
  ["203.0.113.0", "203.0.113.255"],
  ["224.0.0.0", "239.255.255.255"],
  ["240.0.0.0", "255.255.255.255"],
  ["::", "::1", "::7f00:1", "::808:808"],
  ["::ffff:127.0.0.1", "::ffff:a00:1", "::ffff:169.254.169.254"],
  ["64:ff9b::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.1.2.3"],
  ["64:ff9b:0:0:0:1::808:808", "64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff"],
  ["100::", "100:0:0:1::", "5f00::", "5f00:ffff::"],
  ["2001::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:1ff:ffff::"],
  ["2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"],
  ["2002::", "2002:7f00:1::", "2002:ffff::"],
  ["3fff::", "3fff:fff:ffff::"],
  ["1fff:ffff::", "4000::", "8000::"],
  ["fc00::", "fd00:ec2::254", "fdff:ffff::"],
  ["fe80::1", "febf::1", "fec0::1", "feff::1", "ff00::", "ff02::1", "ffff::"],
].flat();

const PUBLIC = [
  ["1.1.1.1", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0"],
  ["126.255.255.255", "128.0.0.0", "168.63.129.15", "169.253.255.255", "169.255.0.0"],
  ["172.15.255.255", "172.32.0.0", "192.0.1.0", "192.0.3.0", "192.88.98.255", "192.88.100.0"],
  ["192.167.255.255", "192.169.0.0", "198.17.255.255", "198.20.0.0", "198.51.99.255"],
  ["198.51.101.0", "203.0.112.255", "203.0.114.0", "223.255.255.255"],
  ["::ffff:8.8.8.8", "::ffff:808:808", "64:ff9b::808:808", "64:ff9b::1.1.1.1"],
  ["2000::1", "2001:200::1", "2001:db7::1", "2001:db9::1", "2003::1", "2606:4700::1111"],
  ["2a00:1450:4001::1", "3ffe::1", "3fff:1000::1"],
].flat();

Deno.test("isForbidden(): every special block, from its first to its last address", () => {
  assertEquals(FORBIDDEN.filter((address) => !isForbidden(address, [])), []);
});

Deno.test("isForbidden(): the addresses beside the special blocks are public", () => {
  assertEquals(PUBLIC.filter((address) => isForbidden(address, [])), []);
});

Deno.test("isForbidden(): what is no plain address is forbidden, allowed or not", () => {
  const odd = ["", "example.com", "8.8.8", "134744072", "0x8.8.8.8", "010.8.8.8", "8.8.8.8 "];
  const zoned = ["fe80::1%eth0", "2606:4700::1111%1", "[2606:4700::1111]", "2606:4700::1111/64"];
  for (const address of [...odd, ...zoned]) {
    assertEquals(isForbidden(address, ["0.0.0.0/0", "::/0"]), true, address);
  }
});

Deno.test("isForbidden(): allowNetworks opens exactly what it names", () => {
  const allowed = ["10.1.0.0/16", "fd12::/16", "192.168.1.7"];
  for (const address of ["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3", "fd12::1", "192.168.1.7"]) {
    assertEquals(isForbidden(address, allowed), false, address);
  }
  for (const address of ["10.0.255.255", "10.2.0.0", "fd13::1", "192.168.1.8", "127.0.0.1"]) {
    assertEquals(isForbidden(address, allowed), true, address);
  }
});

Deno.test("isForbidden(): an IPv6 range opens no IPv4 address, mapped or not", () => {
  assertEquals(isForbidden("10.0.0.1", ["::/0"]), true);
  assertEquals(isForbidden("::ffff:10.0.0.1", ["::/0"]), true);
  assertEquals(isForbidden("::1", ["0.0.0.0/0"]), true);
});

Deno.test("isForbidden(): a mapped range is the IPv4 range it stands for", () => {
  assertEquals(isForbidden("127.0.0.1", ["::ffff:127.0.0.0/104"]), false);
  assertEquals(isForbidden("128.0.0.1", ["::ffff:127.0.0.0/104"]), false);
  assertEquals(isForbidden("10.0.0.1", ["::ffff:127.0.0.0/104"]), true);
});

Deno.test("isForbidden(): an IPv4 address is judged alike mapped and behind NAT64", () => {
  fc.assert(fc.property(fc.ipV4(), (address) => {
    assertEquals(isForbidden(`::ffff:${address}`, []), isForbidden(address, []));
    assertEquals(isForbidden(`64:ff9b::${address}`, []), isForbidden(address, []));
  }));
});

Deno.test("isForbidden(): an address behind NAT64 is let through where its IPv4 address is", () => {
  assertEquals(isForbidden("64:ff9b::10.1.2.3", ["10.0.0.0/8"]), false);
  assertEquals(isForbidden("64:ff9b::10.1.2.3", ["64:ff9b::10.0.0.0/104"]), false);
  assertEquals(isForbidden("64:ff9b::10.1.2.3", ["::/0"]), true);
});

Deno.test("parseNetwork(): ranges and single addresses, and nothing else", () => {
  for (const text of ["10.0.0.0/8", "10.0.0.1", "0.0.0.0/0", "fd00::/8", "::1", "::1/128"]) {
    assertEquals(parseNetwork(text) !== undefined, true, text);
  }
  for (
    const text of ["", "10.0.0.0/33", "10/8", "fd00::/129", "10.0.0.0/-1", "10.0.0.0/08", "a/8"]
  ) {
    assertEquals(parseNetwork(text), undefined, text);
  }
});

Deno.test("hostKind(): every spelling of a literal address is that address", () => {
  for (const host of ["127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "127.1", "127.0.0.1."]) {
    assertEquals(hostKind(host), { kind: "address", address: "127.0.0.1" }, host);
  }
  for (const host of ["[::1]", "::1", "[0:0:0:0:0:0:0:1]"]) {
    assertEquals(hostKind(host), { kind: "address", address: "::1" }, host);
  }
});

Deno.test("hostKind(): localhost and the names below it stay on this machine", () => {
  for (const host of ["localhost", "LOCALHOST", "localhost.", "api.localhost", "a.b.localhost."]) {
    assertEquals(hostKind(host), { kind: "loopbackName" }, host);
  }
  for (const host of ["notlocalhost", "localhost.example", "api.example"]) {
    assertEquals(hostKind(host), { kind: "name" }, host);
  }
});
