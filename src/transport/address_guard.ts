import ipaddr from "ipaddr.js";

/**
 * Whether a request must not go to this literal IP address: it is not globally reachable unicast,
 * and no network of `allowNetworks` (CIDR) names it. What cannot be read is forbidden, and so is
 * an address with a zone id, for it names an interface of this machine.
 */
export function isForbidden(address: string, allowNetworks: readonly string[]): boolean {
  const parsed = parseAddress(address);
  if (parsed === undefined) return true;
  const allowed = allowNetworks.some((text) => {
    const network = parseNetwork(text);
    return network !== undefined && contains(network, parsed);
  });
  return !allowed && !isPublic(parsed);
}

/** A CIDR range; ranges of IPv6 that stand for IPv4 (mapped, NAT64) are held as that. */
export interface Network {
  readonly address: Address;
  /** How many leading bits of the address count. */
  readonly bits: number;
}

export type Address = ipaddr.IPv4 | ipaddr.IPv6;

/** Reads `"10.0.0.0/8"`, `"fd00::/8"` or a single address; undefined where the text is none. */
export function parseNetwork(text: string): Network | undefined {
  const parts = /^([^/]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text);
  if (!parts) return undefined;
  const address = parseLiteral(parts[1]!);
  if (address === undefined) return undefined;
  const width = address.kind() === "ipv4" ? 32 : 128;
  const bits = Number(parts[2] ?? width);
  if (bits > width) return undefined;
  // What lies in them is judged as IPv4, so that a range of them has to be held as one.
  const stands = bits >= 96 ? ipv4Behind(address) : undefined;
  return stands === undefined ? { address, bits } : { address: stands, bits: bits - 96 };
}

/** What the host of a URL is before anything was resolved. */
export type HostKind =
  /** A literal IP address, in its usual spelling and without brackets. */
  | { readonly kind: "address"; readonly address: string }
  /** `localhost` or a name below it, which RFC 6761 keeps on this machine. */
  | { readonly kind: "loopbackName" }
  | { readonly kind: "name" };

/** Tells what a URL's hostname is, in every spelling that the WHATWG URL parser takes. */
export function hostKind(hostname: string): HostKind {
  const host = normalise(hostname);
  const bare = host.startsWith("[") ? host.slice(1, -1) : host;
  if (parseLiteral(bare) !== undefined) return { kind: "address", address: bare };
  return /^(?:.*\.)?localhost\.*$/.test(host) ? { kind: "loopbackName" } : { kind: "name" };
}

/** `0x7f.1`, `2130706433` and `0177.0.0.1` all come out as `127.0.0.1`. */
function normalise(hostname: string): string {
  const text = hostname.includes(":") && !hostname.startsWith("[") ? `[${hostname}]` : hostname;
  return URL.parse(`http://${text}/`)?.hostname ?? hostname.toLowerCase();
}

/** An address as it is judged: one that stands for an IPv4 host is the host that it reaches. */
export function parseAddress(text: string): Address | undefined {
  const address = parseLiteral(text);
  return address && (ipv4Behind(address) ?? address);
}

/** The IPv4 host that an IPv6 address stands for, if it does: mapped, or behind NAT64. */
function ipv4Behind(address: Address): ipaddr.IPv4 | undefined {
  if (!(address instanceof ipaddr.IPv6)) return undefined;
  if (address.isIPv4MappedAddress()) return address.toIPv4Address();
  return address.match(NAT64, 96) ? new ipaddr.IPv4(address.toByteArray().slice(12)) : undefined;
}

function parseLiteral(text: string): Address | undefined {
  // Four plain decimals alone: "010.0.0.1" is 8.0.0.1 to some and 10.0.0.1 to others.
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text);
  if (text.includes("%") || !text.includes(":")) return undefined;
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined;
}

/** Whether an address is of a network; one of IPv4 is of no network of IPv6. */
export function contains(network: Network, address: Address): boolean {
  return network.address.kind() === address.kind() &&
    address.match([network.address, network.bits] as [ipaddr.IPv4, number] & [ipaddr.IPv6, number]);
}

function isPublic(address: Address): boolean {
  if (address.kind() === "ipv4") return !SPECIAL_IPV4.some((special) => contains(special, address));
  return contains(GLOBAL_IPV6, address) &&
    !SPECIAL_IPV6.some((special) => contains(special, address));
}

/** NAT64's well-known prefix: the last four bytes are the IPv4 address (RFC 6052, section 2.1). */
const NAT64 = ipaddr.IPv6.parse("64:ff9b::");

/**
 * The blocks of IANA's IPv4 special-purpose registry, and multicast. Some of them are globally
 * reachable, but what answers there serves a protocol of its own and is nobody's receiver.
 * https://www.iana.org/assignments/iana-ipv4-special-registry
 */
const SPECIAL_IPV4 = networks([
  "0.0.0.0/8", // this network; Linux takes 0.0.0.0 for loopback
  "10.0.0.0/8", // private
  "100.64.0.0/10", // carrier-grade NAT, and Alibaba's metadata
  "127.0.0.0/8", // loopback
  "168.63.129.16/32", // Azure's platform service: a public number that only its machines reach
  "169.254.0.0/16", // link-local, and the metadata of most clouds
  "172.16.0.0/12", // private
  "192.0.0.0/24", // protocol assignments, and Oracle's metadata
  "192.0.2.0/24", // documentation
  "192.31.196.0/24", // AS112
  "192.52.193.0/24", // multicast tunnelling
  "192.88.99.0/24", // 6to4 relays, deprecated
  "192.168.0.0/16", // private
  "192.175.48.0/24", // AS112
  "198.18.0.0/15", // benchmarks
  "198.51.100.0/24", // documentation
  "203.0.113.0/24", // documentation
  "224.0.0.0/4", // multicast
  "240.0.0.0/4", // reserved, and broadcast
]);

/**
 * What IANA has opened for global unicast. All else is forbidden without being named: loopback,
 * `fc00::/7`, `fe80::/10`, `fec0::/10`, multicast, `100::/64`, `5f00::/16`, IPv4-compatible
 * addresses, and NAT64 by prefixes of a network's own (`64:ff9b:1::/48`), which may reach any IPv4
 * address. The well-known prefix is judged by the IPv4 address in it.
 */
const GLOBAL_IPV6 = networks(["2000::/3"])[0]!;

/** The special blocks within it. https://www.iana.org/assignments/iana-ipv6-special-registry */
const SPECIAL_IPV6 = networks([
  "2001::/23", // protocol assignments, with Teredo, which may reach any IPv4 address
  "2001:db8::/32", // documentation
  "2002::/16", // 6to4, which may reach any IPv4 address
  "2620:4f:8000::/48", // AS112
  "3fff::/20", // documentation
]);

function networks(texts: readonly string[]): readonly Network[] {
  return texts.map((text) => parseNetwork(text)!);
}
