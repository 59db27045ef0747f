/** So many hosts are remembered; after that it begins anew. */
const MOST_HOSTS = 10_000;

/**
 * In which order a host's addresses are tried: the one that answered last first, then those that
 * nothing is known of, those that failed last at the end.
 */
export class AddressOrder {
  readonly #byHost = new Map<string, Map<string, number>>();
  #reports = 0;

  /** The addresses in the order they should be tried; the families take turns (RFC 8305, section 4). */
  order(host: string, addresses: readonly string[]): readonly string[] {
    if (addresses.length < 2) return addresses;
    const known = this.#byHost.get(host);
    const taken = inTurns(addresses);
    if (known === undefined) return taken;
    return taken.sort((a, b) => (known.get(b) ?? 0) - (known.get(a) ?? 0));
  }

  /** Keeps in mind how an address of a host that has several did. */
  report(host: string, address: string, { ok }: { ok: boolean }): void {
    let known = this.#byHost.get(host);
    if (known === undefined) {
      if (this.#byHost.size >= MOST_HOSTS) this.#byHost.clear();
      this.#byHost.set(host, known = new Map());
    }
    this.#reports++;
    known.set(address, ok ? this.#reports : -this.#reports);
    // A host that answers from other addresses each time leaves its former ones behind.
    if (known.size > MOST_ADDRESSES) known.delete(known.keys().next().value!);
  }
}

const MOST_ADDRESSES = 64;

/** The first address's family begins. */
function inTurns(addresses: readonly string[]): string[] {
  const isFirst = (address: string) => address.includes(":") === addresses[0]!.includes(":");
  const first = addresses.filter(isFirst);
  const second = addresses.filter((address) => !isFirst(address));
  return first.flatMap((address, i) => second[i] === undefined ? [address] : [address, second[i]])
    .concat(second.slice(first.length));
}
