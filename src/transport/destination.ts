import { requestStart } from "./request_head.ts";
import type { OutgoingRequest } from "./transport.ts";

/** Where requests go that may share connections. */
export interface Destination {
  readonly url: URL;
  /** How each of them begins. */
  readonly start: string;
  /** What connections must agree in: networks are named, for a reload may close one. */
  readonly key: string;
}

/** Works each destination out once, not for every request: parsing a URL takes a tenth of sending. */
export class Destinations {
  readonly #byPool = new Map<string, Known>();
  readonly #pools: () => number;

  /** `pools` answers how many pools there are; those of former configs go where there are more. */
  constructor(pools: () => number) {
    this.#pools = pools;
  }

  /** Undefined where the URL is neither https nor http. */
  of(request: OutgoingRequest): Destination | undefined {
    const known = this.#byPool.get(request.pool);
    const { url, allowNetworks } = request;
    if (known?.text === url && known.allowNetworks === allowNetworks) return known.destination;
    const destination = destinationOf(request);
    if (destination === undefined) return undefined;
    if (this.#byPool.size >= this.#pools()) this.#byPool.clear();
    this.#byPool.set(request.pool, { text: url, allowNetworks, destination });
    return destination;
  }
}

interface Known {
  readonly text: string;
  readonly allowNetworks: readonly string[];
  readonly destination: Destination;
}

function destinationOf(
  { url: text, pool, allowNetworks }: OutgoingRequest,
): Destination | undefined {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== "https:" && url.protocol !== "http:")) return undefined;
  const key = JSON.stringify([pool, url.origin, allowNetworks]);
  return { url, start: requestStart(url), key };
}
