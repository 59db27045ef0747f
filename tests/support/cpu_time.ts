import process from "node:process";

/**
 * The processor time that this thread has taken, in milliseconds, counted in steps of ten or so. What
 * holds the loop takes it; waiting for others that want the processor too takes none.
 */
export function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
