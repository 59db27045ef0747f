/** Runs the event loop until the condition holds. Fails after a timeout in real time. */
export async function until<T>(
  condition: () => T | Promise<T>,
  what = String(condition),
  { withinMs = 10_000 } = {},
): Promise<Exclude<T, false | null | undefined>> {
  const startedAt = performance.now();
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | null | undefined>;
    if (performance.now() - startedAt > withinMs) throw new Error(`never came about: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
