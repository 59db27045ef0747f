const TICK_MS = 5;

/** Time as the event loop of this process has it. */
export interface LoopTime extends Disposable {
  /** So long since it began. */
  readonly ms: number;
}

/**
 * Counts ticks that come while the loop turns. On a machine that is busy with much else they come late,
 * and with them all that this process could have seen.
 */
export function startLoopTime(): LoopTime {
  let ticks = 0;
  const timer = setInterval(() => ticks++, TICK_MS);
  return {
    get ms() {
      return ticks * TICK_MS;
    },
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
