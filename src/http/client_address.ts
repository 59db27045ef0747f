import { contains, type Network, parseAddress, parseNetwork } from "../transport/address_guard.ts";

/** The address of a Unix socket's peer. In `server.trustProxy`, trusts it. */
export const UNIX = "unix";

/** The most trusted proxies in a row. */
const MOST_HOPS = 32;

/**
 * The address of a request's client: the peer, or, if that is a trusted proxy, the last address in
 * `X-Forwarded-For` that isn't trusted. Addresses before it may be forged.
 */
export function clientAddress({ peer, forwardedFor, trustProxy }: {
  /** Undefined for a Unix socket. */
  readonly peer: string | undefined;
  readonly forwardedFor: string | null;
  /** Networks, and perhaps `unix`. */
  readonly trustProxy: readonly string[];
}): string {
  let address = spelled(peer ?? UNIX);
  if (forwardedFor === null || trustProxy.length === 0) return address;
  let end = forwardedFor.length;
  for (let hop = 0; hop < MOST_HOPS && end >= 0 && isTrusted(address, trustProxy); hop++) {
    const comma = end === 0 ? -1 : forwardedFor.lastIndexOf(",", end - 1);
    const named = addressIn(forwardedFor.slice(comma + 1, end).trim());
    if (named === undefined) break;
    address = named;
    end = comma;
  }
  return address;
}

/** The network that one host may have to itself: the /64 of an IPv6 address, else the address. */
export function blockOf(address: string): string {
  const parsed = parseAddress(address);
  if (parsed === undefined || !("parts" in parsed)) return address;
  const [a, b, c, d] = parsed.parts.map((part) => part.toString(16));
  return `${a}:${b}:${c}:${d}::/64`;
}

function isTrusted(address: string, trustProxy: readonly string[]): boolean {
  if (address === UNIX) return trustProxy.includes(UNIX);
  const parsed = parseAddress(address);
  return parsed !== undefined &&
    networksOf(trustProxy).some((network) => contains(network, parsed));
}

/** An element of the header: an address, perhaps with a port; undefined for anything else. */
function addressIn(element: string): string | undefined {
  const bare = /^\[([^\]]+)\](?::\d{1,5})?$/.exec(element)?.[1] ??
    /^([\d.]+):\d{1,5}$/.exec(element)?.[1] ?? element;
  return parseAddress(bare)?.toString();
}

function spelled(address: string): string {
  return parseAddress(address)?.toString() ?? address;
}

function networksOf(trustProxy: readonly string[]): readonly Network[] {
  let networks = parsed.get(trustProxy);
  if (!networks) {
    networks = trustProxy.map(parseNetwork).filter((network) => network !== undefined);
    parsed.set(trustProxy, networks);
  }
  return networks;
}

const parsed = new WeakMap<readonly string[], readonly Network[]>();
