import { InvalidArgumentError } from "commander";
import { parseDuration } from "../domain/duration.ts";

/** Reads an option that is a duration, in milliseconds. */
export function durationOption(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new InvalidArgumentError('It is not a duration such as "500ms", "10s" or "1m".');
}
