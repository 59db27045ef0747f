import type { Clock } from "./clock.ts";

const EVERY_MS = 500;

/**
 * Tells, again and again, how late a timer came: for so long the loop was busy with something else.
 * The answer ends it.
 */
export function watchLoop(clock: Clock, tell: (delayMs: number) => void): () => void {
  let cancel = () => {};
  function wait(): void {
    const expectedMs = clock.monotonicMs() + EVERY_MS;
    cancel = clock.after(EVERY_MS, () => {
      tell(Math.max(0, clock.monotonicMs() - expectedMs));
      wait();
    });
  }
  wait();
  return () => cancel();
}
