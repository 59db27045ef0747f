import { median } from "../load/statistics.ts";
import { usageOf } from "../processes/proc.ts";

/** The cost of one screen. */
export interface PageTime {
  readonly screen: string;
  readonly medianMs: number;
  readonly worstMs: number;
  /** Of the daemon, a request; the steadiest figure on a machine that does other things as well. */
  readonly cpuMs: number;
  readonly kilobytes: number;
}

/** Opens each screen repeatedly, one after another, as one operator does. */
export async function timePages(
  { base, pids, times }: {
    readonly base: string;
    readonly pids: readonly number[];
    readonly times: number;
  },
): Promise<PageTime[]> {
  const found: PageTime[] = [];
  for (const [screen, path] of await screensOf(base)) {
    const took: number[] = [];
    let bytes = await open(base + path);
    const before = usageOf(pids).cpuSeconds;
    for (let time = 0; time < times; time++) {
      const startedAt = performance.now();
      bytes = await open(base + path);
      took.push(performance.now() - startedAt);
    }
    found.push({
      screen,
      medianMs: median(took),
      worstMs: Math.max(...took),
      cpuMs: (usageOf(pids).cpuSeconds - before) / times * 1_000,
      kilobytes: bytes / 1_000,
    });
  }
  return found;
}

async function open(url: string): Promise<number> {
  const response = await fetch(url);
  const { byteLength } = await response.arrayBuffer();
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return byteLength;
}

/** Every screen, and the lists with every kind of filter. */
async function screensOf(base: string): Promise<[screen: string, path: string][]> {
  const failed = await firstOf(`${base}/v1/deliveries?state=exhausted&limit=1`);
  const done = await firstOf(`${base}/v1/deliveries?state=delivered&limit=1`);
  const halfBack = new Date(Date.now() - 15 * 86_400_000).toISOString().slice(0, 19);
  const monthBack = new Date(Date.now() - 30 * 86_400_000).toISOString().slice(0, 19);
  const list = "/dashboard/deliveries";
  const of = `subscription=${failed.subscription}`;
  return [
    ["overview", "/"],
    ["deliveries", list],
    ["deliveries, 500 of them", `${list}?limit=500`],
    ["deliveries, pending", `${list}?state=pending`],
    ["deliveries, exhausted", `${list}?state=exhausted`],
    ["deliveries, cancelled in the month's middle", `${list}?state=cancelled&until=${halfBack}`],
    ["deliveries of a subscription", `${list}?${of}`],
    ["deliveries of a subscription, pending", `${list}?${of}&state=pending`],
    ["deliveries of a subscription, exhausted", `${list}?${of}&state=exhausted`],
    ["deliveries of a type", `${list}?type=${failed.type}`],
    ["deliveries answered 503", `${list}?status=503`],
    ["deliveries answered 200, of a subscription", `${list}?status=200&${of}`],
    ["deliveries answered 418", `${list}?status=418`],
    ["deliveries with a text", `${list}?q=Ada+Lovelace`],
    ["deliveries with a text that none has", `${list}?q=nowhere`],
    ["deliveries of an event", `${list}?event=${failed.event}`],
    ["deliveries, jumped to", `${list}?until=${halfBack}`],
    ["deliveries since, of a subscription", `${list}?since=${monthBack}&${of}&state=cancelled`],
    ["delivery, exhausted", `${list}/${failed.id}`],
    ["delivery, delivered", `${list}/${done.id}`],
    ["subscriptions", "/dashboard/subscriptions"],
    ["subscription", `/dashboard/subscriptions/${failed.subscription}`],
    [
      "subscription, what failed in a month counted",
      `/dashboard/subscriptions/${failed.subscription}?failedSince=${monthBack}`,
    ],
    ["events", "/dashboard/events"],
    ["events of a type, jumped to", `/dashboard/events?type=${failed.type}&until=${halfBack}`],
    ["event", `/dashboard/events/${failed.event}`],
    ["receivers", "/dashboard/receivers"],
    ["receiver", `/dashboard/receivers/${failed.subscription}`],
    ["config", "/dashboard/config"],
  ];
}

async function firstOf(url: string) {
  const response = await fetch(url);
  const { items } = await response.json() as {
    items: { id: string; subscription: string; type: string; event: string }[];
  };
  if (!items[0]) throw new Error(`${url} has nothing`);
  return items[0];
}
