/** Milliseconds since the Unix epoch, on the wall clock. */
export type Instant = number;

/** RFC 3339 in UTC; milliseconds only where they are not zero: `2024-03-15T10:30:00Z`. */
export function formatInstant(at: Instant): string {
  const second = Math.floor(Math.trunc(at) / 1_000);
  if (second !== lastSecond.second) {
    lastSecond = { second, text: new Date(second * 1_000).toISOString().slice(0, -5) };
  }
  const ms = Math.trunc(at) - second * 1_000;
  return ms === 0 ? `${lastSecond.text}Z` : `${lastSecond.text}.${String(ms).padStart(3, "0")}Z`;
}

/** Most of what is told in a row is of one second. */
let lastSecond = { second: NaN, text: "" };

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/** What RFC 3339 can write in UTC: the years 0000 to 9999. */
const EARLIEST = Date.UTC(-1, 12), LATEST = Date.UTC(10_000, 0) - 1;

/** The instant an RFC 3339 text names, to the millisecond; undefined where it names none. */
export function parseInstant(text: string): Instant | undefined {
  const parts = RFC_3339.exec(text);
  if (!parts) return undefined;
  const [year, month, day, hour, minute, second] = parts.slice(1, 7).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const offsetHours = Number(parts[9] ?? 0);
  const offsetMinutes = Number(parts[10] ?? 0);
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) {
    return undefined;
  }
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const ms = Number((parts[7] ?? "").padEnd(3, "0").slice(0, 3));
  date.setUTCHours(hour, minute, second, ms);
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  const at = date.getTime() - (parts[8] === "-" ? -offsetMs : offsetMs);
  // A leap second is read as the first instant of the next day, as POSIX time does.
  if (second === 60 && (at < 0 || at % 86_400_000 >= 1_000)) return undefined;
  return at >= EARLIEST && at <= LATEST ? at : undefined;
}
