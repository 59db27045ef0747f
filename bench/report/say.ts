const startedAt = performance.now();

/** Tells what is going on, on the standard error: the report alone is on the standard output. */
export function say(text: string): void {
  console.error(
    `${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`,
  );
}
