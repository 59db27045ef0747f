/** What a notice says to people: a headline, and lines of which none was begun by a stranger. */
export interface NoticeText {
  readonly headline: string;
  readonly lines: readonly string[];
  /** The command that helps; customers get none. */
  readonly command?: string;
}

/** A notice's JSON in words, for channels that people read. */
export function noticeText(json: string): NoticeText {
  const { type, timestamp, data } = JSON.parse(json);
  const lines = Object.entries(data)
    .filter(([name]) => name !== "summary" && name !== "kind" && name !== "command")
    .flatMap(([name, value]) => asLines(name, value));
  return {
    headline: oneLine(data.summary ?? type),
    lines: [...lines, `time: ${timestamp}`],
    ...(data.command !== undefined && { command: oneLine(data.command) }),
  };
}

function asLines(name: string, value: unknown): string[] {
  if (Array.isArray(value)) {
    return [
      `${name}:`,
      ...value.map((one) => `  ${oneLine(inWords(one))}`),
    ];
  }
  if (value === null || typeof value !== "object") return [`${name}: ${oneLine(String(value))}`];
  const inner = Object.entries(value).flatMap(([key, one]) => asLines(key, one));
  return [`${name}:`, ...inner.map((line) => `  ${line}`)];
}

function inWords(value: unknown): string {
  if (value === null || typeof value !== "object") return String(value);
  return Object.entries(value).map(([name, one]) => `${name}: ${one}`).join(", ");
}

/** What receivers and publishers wrote must not begin lines of its own. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f\u2028\u2029]+/g, " ").slice(0, 1_000);
}
