import process from "node:process";
import type { Metrics } from "./metrics.ts";

/** What every Prometheus client tells of its process, under the names that all of them use. */
export function measureProcess(metrics: Metrics): void {
  metrics.counted({
    name: "process_cpu_seconds_total",
    help: "Total user and system CPU time spent in seconds.",
    read() {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1_000_000;
    },
  });
  metrics.gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory size in bytes.",
    read: () => Deno.memoryUsage().rss,
  });
  metrics.gauge({
    name: "process_start_time_seconds",
    help: "Start time of the process since unix epoch in seconds.",
    read: () => performance.timeOrigin / 1_000,
  });
  // Deno opens /proc to programs with every permission alone; elsewhere this one is left out.
  metrics.gauge({
    name: "process_open_fds",
    help: "Number of open file descriptors.",
    async read() {
      let count = 0;
      for await (const _ of Deno.readDir("/proc/self/fd")) count++;
      return count;
    },
  });
}
