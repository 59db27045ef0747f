/** The length of an event's data, as JSON. */
const DATA_BYTES = 1_024;

/** A clock that all processes of a run share: the wall clock with fractions of milliseconds. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}

/** The event type of subscription number `index`. */
export function typeName(index: number): string {
  return `booking.${index}`;
}

/**
 * An event as a publisher posts it. Types alternate; its data contains its number and the time. A
 * small event has no other data, so that a thousand fit into the default `server.maxBody`.
 */
export function eventText(seq: number, types: number, { isSmall = false } = {}): string {
  if (isSmall) {
    const data = `{"seq":${seq},"sentAt":${now().toFixed(3)}}`;
    return `{"type":"${typeName(seq % types)}","data":${data}}`;
  }
  const head = `{"seq":${seq},"sentAt":${now().toFixed(3)},${BOOKING},"note":"`;
  const data = `${head}${"n".repeat(DATA_BYTES - head.length - 2)}"}`;
  return `{"type":"${typeName(seq % types)}","data":${data}}`;
}

/** Reads number and time from any body: PostgreSQL's jsonb changes the order of members. */
export function readEvent(body: string): { seq: number; sentAt: number } | undefined {
  const seq = /"seq":(\d+)/.exec(body), sentAt = /"sentAt":([\d.]+)/.exec(body);
  return seq && sentAt ? { seq: Number(seq[1]), sentAt: Number(sentAt[1]) } : undefined;
}

const BOOKING = JSON.stringify({
  booking: {
    id: "bk_12345",
    status: "CONFIRMED",
    nights: 5,
    total: "641.50",
    currency: "EUR",
  },
  guest: {
    name: "Ada Lovelace",
    email: "ada@example.com",
    language: "en",
    adults: 2,
    children: 1,
  },
  lines: Array.from({ length: 5 }, (_, i) => ({
    sku: `night-${i + 1}`,
    quantity: 1,
    price: `${120 + i}.50`,
    tax: `${8 + i}.40`,
  })),
  source: {
    channel: "direct",
    campaign: null,
    referrer: "https://www.example.com/rooms/12",
  },
}).slice(1, -1);
