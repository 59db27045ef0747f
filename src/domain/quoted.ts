/** What somebody wrote, in quotes, on one line, cut where it is long; never a signing key. */
export function quoted(text: string): string {
  if (looksSecret(text)) return `"${text.slice(0, 6)}…"`;
  // A line of a problem must stay one line, and must not steer a terminal.
  const shown = JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
  return shown.replace(
    /[\u007f-\u009f\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Whether a text has the form of a Standard Webhooks key, wherever it stands. */
export function looksSecret(text: string): boolean {
  return /^\s*wh(?:sec|sk)_./s.test(text);
}
