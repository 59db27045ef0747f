/** A figure's name in the report, and the format of its numbers. */
export interface Figure {
  readonly name: string;
  readonly title: string;
  readonly unit: "/s" | "ms" | "s" | "MB" | "bytes" | "%";
  readonly better: "more" | "less";
}

/** Every figure of the comparison, in the order of the report. */
export const FIGURES: readonly Figure[] = [
  more("ingest.perSecond", "accepted and stored, nothing delivered", "/s"),
  more("steady.perSecond", "accepted, delivered and recorded", "/s"),
  more("drain.perSecond", "backlog delivered and recorded", "/s"),
  less("pace.p50Ms", "post to arrival at 500/s, median", "ms"),
  less("pace.p99Ms", "post to arrival at 500/s, 99th percentile", "ms"),
  less("slowFsync.p50Ms", "the same with an fsync of 2 ms, median", "ms"),
  less(
    "slowFsync.p99Ms",
    "the same with an fsync of 2 ms, 99th percentile",
    "ms",
  ),
  more(
    "fanOut10.perSecond",
    "one event for 10 subscriptions: deliveries",
    "/s",
  ),
  more(
    "fanOut1000.perSecond",
    "one event for 1 000 subscriptions: deliveries",
    "/s",
  ),
  more("receivers5000.perSecond", "5 000 receivers: deliveries", "/s"),
  more("batches100.acceptedPerSecond", "arrays of 100, accepted", "/s"),
  more("batches100.deliveredPerSecond", "delivered meanwhile", "/s"),
  more("batches100.heldPerSecond", "arrays of 100, accepted, nothing delivered", "/s"),
  more("batches1000.acceptedPerSecond", "arrays of 1 000, accepted", "/s"),
  more("batches1000.deliveredPerSecond", "delivered meanwhile", "/s"),
  more("batches1000.heldPerSecond", "arrays of 1 000, accepted, nothing delivered", "/s"),
  more("tls.perSecond", "accepted, delivered over TLS and recorded", "/s"),
  less("noisy.quietP99Ms", "50 receivers, 99th percentile", "ms"),
  less("noisy.oneP99Ms", "1 of 50 hangs, 99th percentile of the others", "ms"),
  more("noisy.oneDelivered", "1 of 50 hangs, delivered to the others", "%"),
  less("noisy.tenP99Ms", "10 of 50 hang, 99th percentile of the others", "ms"),
  more("noisy.tenDelivered", "10 of 50 hang, delivered to the others", "%"),
  less("crash.seconds", "kill -9 to the last delivery that was in flight", "s"),
  less("crash.millionSeconds", "the same with a million pending", "s"),
  less("cpu.secondsPer10000", "CPU for 10 000 deliveries", "s"),
  less("memory.idleBytes", "memory, idle", "MB"),
  less("memory.pacedBytes", "memory, at 500/s", "MB"),
  less("memory.saturatedBytes", "memory, saturated", "MB"),
  less("memory.millionBytes", "memory, a million pending", "MB"),
  less("stored.bytesPerDelivery", "storage for a delivery", "bytes"),
  more("limits.fsyncPerSecond", "fsyncs of a page", "/s"),
  more("limits.serverPerSecond", "bare Deno.serve and hono: requests", "/s"),
  more("limits.storePerSecond", "the outbox's SQLite alone: events stored", "/s"),
  more("limits.undiciPerSecond", "bare undici: signed posts", "/s"),
  less("limits.relayP50Ms", "a bare relay (server, fsync, post) at 500/s: median", "ms"),
  less("limits.relayP99Ms", "99th percentile of the bare relay", "ms"),
];

/** Formats a number for the report. */
export function formatted(value: number, unit: Figure["unit"]): string {
  switch (unit) {
    case "MB":
      return `${(value / 1e6).toFixed(0)} MB`;
    case "%":
      return `${(value * 100).toFixed(value === 1 ? 0 : 1)} %`;
    case "bytes":
      return value.toFixed(0);
    case "/s":
      return `${spaced(value)}/s`;
    default:
      return `${value < 100 ? value.toFixed(value < 10 ? 2 : 1) : value.toFixed(0)} ${unit}`;
  }
}

/** `12 345`. */
function spaced(value: number): string {
  return value.toFixed(0).replace(/\B(?=(\d{3})+$)/g, " ");
}

function more(name: string, title: string, unit: Figure["unit"]): Figure {
  return { name, title, unit, better: "more" };
}

function less(name: string, title: string, unit: Figure["unit"]): Figure {
  return { name, title, unit, better: "less" };
}
