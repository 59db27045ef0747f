import type { Clock } from "../runtime/clock.ts";

/** Resolves after so many milliseconds, or as soon as the signal ends it. */
export function pauseFor(
  ms: number,
  { clock, signal }: { clock: Clock; signal?: AbortSignal },
): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cancel = clock.after(ms, resolve);
  const onAbort = () => resolve();
  signal?.addEventListener("abort", onAbort);
  return promise.finally(() => {
    cancel();
    signal?.removeEventListener("abort", onAbort);
  });
}
