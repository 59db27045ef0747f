/** No request reaches a forbidden address by any name. A listening socket checks that. */
import { assert, assertEquals } from "@std/assert";
import type { Outcome } from "../../src/domain/attempt.ts";
import { isForbidden } from "../../src/transport/address_guard.ts";
import { http1Transport, type Resolver } from "../../src/transport/http1_transport.ts";
import { FakeClock } from "../support/fake_clock.ts";
import { fc } from "../support/properties.ts";
import { startRawServer } from "../support/raw_server.ts";

/** https://www.iana.org/assignments/iana-ipv4-special-registry, and multicast. */
const IPV4_BLOCKS = {
  "0.0.0.0/8": "this network",
  "0.0.0.0/32": "this host on this network",
  "10.0.0.0/8": "private use",
  "100.64.0.0/10": "shared address space",
  "127.0.0.0/8": "loopback",
  "169.254.0.0/16": "link-local",
  "172.16.0.0/12": "private use",
  "192.0.0.0/24": "IETF protocol assignments",
  "192.0.0.0/29": "IPv4 service continuity",
  "192.0.0.8/32": "dummy address",
  "192.0.0.9/32": "port control protocol anycast",
  "192.0.0.10/32": "TURN anycast",
  "192.0.0.170/32": "NAT64 and DNS64 discovery",
  "192.0.0.171/32": "NAT64 and DNS64 discovery",
  "192.0.2.0/24": "documentation",
  "192.31.196.0/24": "AS112",
  "192.52.193.0/24": "AMT",
  "192.88.99.0/24": "6to4 relay anycast",
  "192.168.0.0/16": "private use",
  "192.175.48.0/24": "direct delegation AS112",
  "198.18.0.0/15": "benchmarking",
  "198.51.100.0/24": "documentation",
  "203.0.113.0/24": "documentation",
  "224.0.0.0/4": "multicast",
  "240.0.0.0/4": "reserved",
  "255.255.255.255/32": "limited broadcast",
};

/** https://www.iana.org/assignments/iana-ipv6-special-registry, site-local and multicast. */
const IPV6_BLOCKS = {
  "::/128": "unspecified",
  "::1/128": "loopback",
  "::/96": "IPv4-compatible",
  "64:ff9b:1::/48": "NAT64, local use",
  "100::/64": "discard only",
  "100:0:0:1::/64": "dummy prefix",
  "2001::/23": "IETF protocol assignments",
  "2001::/32": "Teredo",
  "2001:1::1/128": "port control protocol anycast",
  "2001:1::2/128": "TURN anycast",
  "2001:1::3/128": "DNS-SD registration anycast",
  "2001:2::/48": "benchmarking",
  "2001:3::/32": "AMT",
  "2001:4:112::/48": "AS112",
  "2001:10::/28": "ORCHID",
  "2001:20::/28": "ORCHIDv2",
  "2001:30::/28": "drone remote ID",
  "2001:db8::/32": "documentation",
  "2002::/16": "6to4",
  "2620:4f:8000::/48": "direct delegation AS112",
  "3fff::/20": "documentation",
  "5f00::/16": "segment routing",
  "fc00::/7": "unique local",
  "fe80::/10": "link-local",
  "fec0::/10": "site-local",
  "ff00::/8": "multicast",
};

/** 127.0.0.1, a cloud's metadata address and a private one, in every IPv6 embedding. */
const EMBEDDED = ["7f00:1", "a9fe:a9fe", "a00:1"].flatMap((v4) => [
  `::ffff:${v4}`,
  `::${v4}`,
  `::ffff:0:${v4}`,
  `64:ff9b::${v4}`,
  `64:ff9b:1::${v4}`,
  `2002:${v4}::1`,
  `2001:0:${v4}::1`,
]);

/** 127.0.0.1 and this machine in every spelling that a URL accepts, or might. */
const SPELLINGS = [
  ["127.1", "127.0.1", "2130706433", "0x7f000001", "0X7F.1", "017700000001", "0177.0.0.01"],
  ["0177.0x0.0.1", "127.0.0.0x1", "00000177.0.0.1", "127.0.0.1.", "0", "0x0", "0.0.0.0"],
  ["[::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::ffff:127.0.0.1]", "[0::ffff:7f00:0001]"],
  [
    "localhost",
    "LOCALHOST",
    "LocalHost.",
    "api.localhost",
    "a.b.localhost.",
    "127.0.0.1.localhost",
  ],
  [
    "８.８.８.８@127.0.0.1",
    "8.8.8.8:443@127.0.0.1",
    "8.8.8.8%40127.0.0.1@127.1",
    "user:@127.0.0.1",
  ],
  ["１２７.０.０.１", "①②⑦.⓪.⓪.①", "127。0。0。1", "127．0．0．1", "127｡0｡0｡1", "𝟏𝟐𝟕.𝟎.𝟎.𝟏"],
  ["%31%32%37.0.0.1", "127.0.0.1\u00ad", "127.0.0.\u200b1", "12\t7.0.0.1", "ｌｏｃａｌｈｏｓｔ"],
  ["ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "loc\u00adalhost", "loca%6Chost", "ⅼocalhost"],
].flat();

/** A transport that resolves every name to these addresses; without them, it must not resolve any. */
function aTransport(resolve?: Resolver, clock = new FakeClock()) {
  const asked: string[] = [];
  const transport = http1Transport({
    clock,
    resolve: (hostname) => {
      asked.push(hostname);
      return resolve ? resolve(hostname) : Promise.reject(new Error("nothing to resolve"));
    },
  });
  return {
    asked,
    send: (url: string, allowNetworks: readonly string[] = []) =>
      transport.send({
        url,
        headers: [],
        body: new TextEncoder().encode("{}"),
        deadlineMs: 30_000,
        allowNetworks,
        pool: "a-subscription",
      }),
    [Symbol.asyncDispose]: () => transport.close(),
  };
}

function kindOf(outcome: Outcome): string {
  return outcome.kind === "failed" ? outcome.error.kind : String(outcome.status);
}

/** A network as numbers, computed independently of the guard. */
function numbersOf(cidr: string): { first: bigint; last: bigint; bits: number } {
  const [address, length] = cidr.split("/") as [string, string];
  const width = address.includes(":") ? 128 : 32;
  const size = 1n << BigInt(width - Number(length));
  const first = numberOf(address) / size * size;
  return { first, last: first + size - 1n, bits: width };
}

function numberOf(address: string): bigint {
  if (!address.includes(":")) {
    return address.split(".").reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  }
  const [left, right = ""] = address.split("::") as [string, string?];
  const groups = (text: string) => text === "" ? [] : text.split(":");
  const zeros = 8 - groups(left).length - groups(right).length;
  const all = address.includes("::")
    ? [...groups(left), ...Array(zeros).fill("0"), ...groups(right)]
    : groups(left);
  return all.reduce((sum, group) => sum * 65_536n + BigInt(`0x${group}`), 0n);
}

function addressOf(number: bigint, bits: number): string {
  const parts = Array.from({ length: bits === 32 ? 4 : 8 }, (_, i) => {
    const size = bits === 32 ? 8n : 16n;
    return number >> (BigInt(bits) - size * BigInt(i + 1)) & ((1n << size) - 1n);
  });
  return bits === 32 ? parts.join(".") : parts.map((part) => part.toString(16)).join(":");
}

Deno.test("addresses: refuses the first, the last and any address of a special block", async () => {
  await using server = startRawServer({}, { hostname: "0.0.0.0" });
  await using it = aTransport();
  for (const block of [...Object.keys(IPV4_BLOCKS), ...Object.keys(IPV6_BLOCKS)]) {
    const { first, last, bits } = numbersOf(block);
    for (const number of [first, last, (first + last) / 2n]) {
      const address = addressOf(number, bits);
      const host = bits === 32 ? address : `[${address}]`;
      const outcome = await it.send(`http://${host}:${server.port}/`);
      assertEquals(kindOf(outcome), "blocked", `${address} of ${block}`);
    }
  }
  assertEquals(server.connectionCount, 0);
});

Deno.test("addresses: refuses forbidden IPv4 addresses embedded in IPv6", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  for (const address of EMBEDDED) {
    const outcome = await it.send(`http://[${address}]:${server.port}/`);
    assertEquals(kindOf(outcome), "blocked", address);
  }
  assertEquals(server.connectionCount, 0);
});

Deno.test("addresses: recognises every spelling of this machine", async () => {
  await using server = startRawServer({}, { hostname: "0.0.0.0" });
  await using it = aTransport();
  for (const host of SPELLINGS) {
    for (const scheme of ["http://", "HTTP:\\\\", "http:", "https://"]) {
      const url = `${scheme}${host}:${server.port}/`;
      const outcome = await it.send(url);
      // Invalid URLs are refused as such.
      const expected = URL.canParse(url) ? "blocked" : "protocol";
      assertEquals(kindOf(outcome), expected, url);
    }
  }
  assertEquals([server.connectionCount, it.asked], [0, []]);
});

Deno.test("addresses: reads the host that the request is sent to, not what other programs would read", async () => {
  await using server = startRawServer();
  await using it = aTransport();
  const at = `127.0.0.1:${server.port}`;
  const tricks = [
    `http://${at}\\@8.8.8.8/`,
    `http://${at}#@8.8.8.8/`,
    `http://${at}?@8.8.8.8/`,
    `http://8.8.8.8\t@${at}/`,
    `http:/\\${at}/8.8.8.8`,
    `\u0000 http://${at}/`,
  ];
  for (const url of tricks) assertEquals(kindOf(await it.send(url)), "blocked", url);
  for (const url of [`file:///etc/passwd`, `ftp://${at}/`, `unix:/run/x.sock`, `gopher://${at}/`]) {
    assertEquals(kindOf(await it.send(url)), "protocol", url);
  }
  assertEquals(server.connectionCount, 0);
});

Deno.test("addresses: no answer of a name server leads to a forbidden address", async () => {
  await using server = startRawServer({}, { hostname: "0.0.0.0" });
  const answers = [
    ["127.0.0.1"],
    ["93.184.216.34", "127.0.0.1"],
    ["93.184.216.34", "::ffff:127.0.0.1"],
    ["2606:4700::1111", "::1"],
    ["::ffff:7f00:1"],
    ["64:ff9b::7f00:1"],
    ["fe80::1%lo"],
    ["127.1"],
    ["0x7f000001"],
    ["2130706433"],
    [" 127.0.0.1"],
    ["localhost"],
    [""],
    [...Array.from({ length: 50 }, () => "93.184.216.34"), "10.0.0.1"],
  ];
  for (const addresses of answers) {
    await using it = aTransport(() => Promise.resolve(addresses));
    const outcome = await it.send(`http://api.example:${server.port}/`);
    assertEquals(kindOf(outcome), "blocked", JSON.stringify(addresses));
  }
  assertEquals(server.connectionCount, 0);
});

Deno.test("addresses: checks a name's address at each lookup, in case it changes", async () => {
  await using server = startRawServer({ close: true }, { hostname: "0.0.0.0" });
  // 127.0.0.1 stands for a public address here, because tests must not leave this machine.
  const answers = [["127.0.0.1"], ["127.0.0.2"], ["127.0.0.1", "127.0.0.2"], ["127.0.0.1"]];
  let next = 0;
  const clock = new FakeClock();
  await using it = aTransport(() => Promise.resolve(answers[next++]!), clock);
  const kinds: string[] = [];
  for (const _ of answers) {
    // Answers are cached for this long.
    clock.advance(10_000);
    const outcome = await it.send(`http://api.example:${server.port}/`, ["127.0.0.1/32"]);
    kinds.push(kindOf(outcome));
  }
  assertEquals(kinds, ["200", "blocked", "blocked", "200"]);
  // One lookup per request: none between the check and the connection.
  assertEquals([it.asked.length, server.connectionCount], [4, 2]);
});

Deno.test("addresses: allowNetworks allows only the networks it names", async () => {
  await using server = startRawServer({}, { hostname: "0.0.0.0" });
  await using it = aTransport();
  const allowed = ["127.0.0.4/30", "127.0.1.1"];
  const hosts = { "127.0.0.3": "blocked", "127.0.0.4": "200", "127.0.0.7": "200" };
  const others = { "127.0.0.8": "blocked", "127.0.1.1": "200", "127.0.1.2": "blocked" };
  const names = { "localhost": "blocked", "0.0.0.0": "blocked", "[::ffff:127.0.0.5]": "200" };
  for (const [host, expected] of Object.entries({ ...hosts, ...others, ...names })) {
    const outcome = await it.send(`http://${host}:${server.port}/`, allowed);
    assertEquals(kindOf(outcome), expected, host);
  }
});

Deno.test("isForbidden(): agrees with the table for any address", () => {
  const blocks = [...Object.keys(IPV4_BLOCKS), ...Object.keys(IPV6_BLOCKS)].map(numbersOf);
  const globalUnicast = numbersOf("2000::/3");
  const azure = numberOf("168.63.129.16");
  const near = fc.tuple(fc.constantFrom(...blocks), fc.bigInt(-2n, 2n), fc.boolean())
    .map(([{ first, last, bits }, by, atEnd]) => ({ number: (atEnd ? last : first) + by, bits }));
  const anywhere = fc.constantFrom(32, 128).chain((bits) =>
    fc.bigInt(0n, (1n << BigInt(bits)) - 1n).map((number) => ({ number, bits }))
  );
  const inSpace = ({ number, bits }: { number: bigint; bits: number }) =>
    number >= 0n && number < 1n << BigInt(bits) && !(bits === 128 && number >> 32n === 0xffffn);
  fc.assert(
    fc.property(fc.oneof(near, anywhere).filter(inSpace), ({ number, bits }) => {
      const special = blocks.some((block) =>
        block.bits === bits && block.first <= number && number <= block.last
      );
      const unassigned = bits === 128 &&
        (number < globalUnicast.first || number > globalUnicast.last);
      const expected = special || unassigned || (bits === 32 && number === azure);
      return isForbidden(addressOf(number, bits), []) === expected;
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("isForbidden(): a network allows exactly its own addresses", () => {
  const network = fc.constantFrom(32, 128).chain((bits) =>
    fc.tuple(
      fc.constantFrom(...(bits === 32 ? ["10.0.0.0/8", "127.0.0.0/8"] : ["fc00::/7"])),
      fc.bigInt(0n, (1n << 100n) - 1n),
      fc.nat(bits),
      fc.bigInt(-3n, 3n),
    ).map(([within, at, length, by]) => {
      const { first, last } = numbersOf(within);
      const number = first + at % (last - first + 1n);
      const cidr = `${addressOf(number, bits)}/${length}`;
      const range = numbersOf(cidr);
      const probe = [range.first + by, range.last + by, number]
        .filter((one) => first <= one && one <= last);
      return { cidr, range, probe: probe.length > 0 ? probe : [number], bits };
    })
  );
  fc.assert(
    fc.property(network, ({ cidr, range, probe, bits }) => {
      for (const number of probe) {
        const open = range.first <= number && number <= range.last;
        assert(isForbidden(addressOf(number, bits), [cidr]) === !open, `${number} in ${cidr}`);
      }
    }),
    { numRuns: 5_000 },
  );
});
