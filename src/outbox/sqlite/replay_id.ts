import { decodePosition, encodePosition, type Position } from "./delivery_id.ts";

/** The public id of a replay: `rpl_` and 26 characters, made like a delivery's. */
export function replayId(position: Position): string {
  return PREFIX + encodePosition(position);
}

/** What an id says; undefined where the text is none. Its row must have been created just then. */
export function parseReplayId(id: string): Position | undefined {
  return id.startsWith(PREFIX) ? decodePosition(id.slice(PREFIX.length)) : undefined;
}

const PREFIX = "rpl_";
