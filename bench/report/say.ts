const startedAt = performance.now();

/** Prints progress to standard error; standard output is only for the report. */
export function say(text: string): void {
  console.error(
    `${((performance.now() - startedAt) / 1_000).toFixed(1).padStart(7)} s  ${text}`,
  );
}
