import { formatInstant, parseInstant } from "../../domain/instant.ts";

/** An instant as `<input type="datetime-local">` takes it. */
export function forInput(text: string | undefined): string | undefined {
  const at = text === undefined ? undefined : parseInstant(text);
  return at === undefined ? undefined : formatInstant(at).replace("Z", "");
}

/** What `<input type="datetime-local">` sends, taken as UTC: all instants on the pages are. */
export function inUtc(text: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d$/.test(text)
    ? `${text}:00Z`
    : /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?$/.test(text)
    ? `${text}Z`
    : text;
}
