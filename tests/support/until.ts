/** A machine that is busy with much else takes many times as long; a test that hangs still ends. */
const PATIENCE_MS = 120_000;

const MOST_REST_MS = 25;

/** Turns the event loop until the condition holds; fails where that does not come about. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what = String(condition),
): Promise<Exclude<T, false | null | undefined>> {
  const startedAt = performance.now();
  for (;;) {
    const askedAt = performance.now();
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined>;
    const now = performance.now();
    if (now - startedAt > PATIENCE_MS) throw new Error(`never came about: ${what}`);
    // What takes long to ask keeps whoever is waited for from getting there: half of the time is theirs.
    const restMs = Math.min(Math.max(1, now - askedAt), MOST_REST_MS);
    await new Promise((resolve) => setTimeout(resolve, restMs));
  }
}
