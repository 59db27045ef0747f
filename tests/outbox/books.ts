import type { OutboxReader } from "../../src/outbox/outbox.ts";

/** All that an outbox keeps beside its rows, in an order that does not depend on how it is kept. */
export async function booksOf(
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
      requests.map(async (request) => (await reader.answers(request)).map(asText).sort()),
    ),
  };
}

function sorted(books: ReadonlyMap<string, unknown>): string[] {
  return [...books].map(asText).sort();
}

function asText(book: unknown): string {
  return JSON.stringify(book);
}
