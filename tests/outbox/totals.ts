import type { OutboxReader } from "../../src/outbox/reader.ts";

/** All that an outbox adds up, in an order that does not depend on how it is kept. */
export async function totalsOf(
  reader: Pick<OutboxReader, "answers" | "counts" | "health" | "tallies">,
  { subscriptions }: { subscriptions: readonly string[] },
) {
  const requests = [
    { slot: "minute", since: 0 } as const,
    { slot: "hour", since: 0 } as const,
    ...subscriptions.map((subscription) => ({ slot: "hour", since: 0, subscription }) as const),
  ];
  return {
    counts: sorted(await reader.counts(subscriptions)),
    health: sorted(await reader.health()),
    tallies: await Promise.all(requests.map((request) => reader.tallies(request))),
    answers: await Promise.all(
      requests.map(async (request) =>
        (await reader.answers({ ...request, spanMs: 3_600_000 })).map(asText).sort()
      ),
    ),
  };
}

function sorted(totals: ReadonlyMap<string, unknown>): string[] {
  return [...totals].map(asText).sort();
}

function asText(total: unknown): string {
  return JSON.stringify(total);
}
