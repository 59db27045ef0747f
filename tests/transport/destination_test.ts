import { assert, assertEquals } from "@std/assert";
import { Destinations } from "../../src/transport/destination.ts";
import type { OutgoingRequest } from "../../src/transport/transport.ts";

const NETWORKS: readonly string[] = [];

function requestTo(pool: string, url = `https://${pool}.example/hook`): OutgoingRequest {
  return { pool, url, allowNetworks: NETWORKS } as OutgoingRequest;
}

Deno.test("destinations: each pool's is worked out once, however many pools there are", () => {
  const pools = Array.from({ length: 25_000 }, (_, index) => `p${index}`);
  const destinations = new Destinations(() => pools.length);
  const first = pools.map((pool) => destinations.of(requestTo(pool)));
  for (const [index, pool] of pools.entries()) {
    assert(destinations.of(requestTo(pool)) === first[index]);
  }
});

Deno.test("destinations: another URL is another destination, and what is neither http nor https none", () => {
  const destinations = new Destinations(() => 1);
  const one = destinations.of(requestTo("crm"))!;
  const other = destinations.of(requestTo("crm", "https://new.example/"))!;
  assert(one !== other);
  assertEquals([one.url.hostname, other.url.hostname], ["crm.example", "new.example"]);
  assertEquals(destinations.of(requestTo("crm", "ftp://crm.example/")), undefined);
});
