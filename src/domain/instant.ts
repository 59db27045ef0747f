/** Milliseconds since the Unix epoch, on the wall clock. */
export type Instant = number;

/** RFC 3339 in UTC; milliseconds only where they are not zero: `2024-03-15T10:30:00Z`. */
export function formatInstant(at: Instant): string {
  const text = new Date(at).toISOString();
  return text.endsWith(".000Z") ? `${text.slice(0, -5)}Z` : text;
}

const RFC_3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

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
  // A leap second is read as the first instant of the next minute, as POSIX time does.
  if (hour > 23 || minute > 59 || second > 60 || offsetHours > 23 || offsetMinutes > 59) {
    return undefined;
  }
  const date = new Date(0);
  date.setUTCFullYear(year, month - 1, day);
  if (date.getUTCMonth() !== month - 1 || date.getUTCDate() !== day) return undefined;
  const ms = Number((parts[7] ?? "").padEnd(3, "0").slice(0, 3));
  date.setUTCHours(hour, minute, second, ms);
  const offsetMs = (offsetHours * 60 + offsetMinutes) * 60_000;
  return date.getTime() - (parts[8] === "-" ? -offsetMs : offsetMs);
}
