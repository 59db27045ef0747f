/** A machine that is busy with much else takes many times as long; a test that hangs still ends. */
const PATIENCE_MS = 120_000;

/** Turns the event loop until the condition holds; fails where that does not come about. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what = String(condition),
): Promise<Exclude<T, false | null | undefined>> {
  const startedAt = performance.now();
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined>;
    if (performance.now() - startedAt > PATIENCE_MS) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
