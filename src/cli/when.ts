import { InvalidArgumentError } from "commander";
import { parseDuration } from "../domain/duration.ts";
import { formatInstant, type Instant, parseInstant } from "../domain/instant.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Terminal } from "./terminal.ts";

/** An instant of the API as a reader wants it: "3 m ago" on a terminal, RFC 3339 in a pipe. */
export function when(
  text: string | undefined,
  { columns, clock }: Pick<Terminal, "columns" | "clock">,
): string {
  const at = text === undefined ? undefined : parseInstant(text);
  if (at === undefined || columns === undefined) return text ?? "";
  return relative(at, clock.wall());
}

/** The same with the instant itself beside it, where there is room for both. */
export function exactlyWhen(
  text: string | undefined,
  terminal: Pick<Terminal, "columns" | "clock">,
): string {
  const shown = when(text, terminal);
  return shown === text || text === undefined ? shown : `${shown} (${text})`;
}

/** How long ago, or how far ahead, in one unit. */
export function relative(at: Instant, now: Instant): string {
  const length = spoken(Math.abs(now - at));
  if (length === "0 s") return "now";
  return at > now ? `in ${length}` : `${length} ago`;
}

function spoken(ms: number): string {
  const seconds = Math.round(ms / 1_000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.round(ms / 60_000);
  if (minutes < 60) return `${minutes} m`;
  const hours = Math.round(ms / 3_600_000);
  return hours < 48 ? `${hours} h` : `${Math.round(ms / 86_400_000)} d`;
}

/** How long an attempt took. */
export function spokenDuration(ms: number): string {
  return ms < 1_000 ? `${Math.round(ms)} ms` : `${(ms / 1_000).toFixed(1)} s`;
}

/** Reads an option such as `--since`: RFC 3339, or a duration ago. Gives RFC 3339. */
export function instantOrAgo(clock: Clock): (text: string) => string {
  return (text) => {
    const ago = parseDuration(text);
    const at = ago === undefined ? parseInstant(text) : clock.wall() - ago;
    if (at !== undefined) return formatInstant(at);
    throw new InvalidArgumentError(
      'It is neither a time ago such as "2h" nor an instant such as "2024-03-15T10:30:00Z".',
    );
  };
}
