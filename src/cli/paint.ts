import type { Terminal } from "./terminal.ts";

/** What a text is to look like where there are colours. */
export type Colour = keyof typeof CODES;

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const;

/** The text in a colour, where the terminal shows colours. */
export function paint(
  text: string,
  colour: Colour | undefined,
  terminal: Pick<Terminal, "colour">,
): string {
  if (!terminal.colour || colour === undefined || text === "") return text;
  return `\x1b[${CODES[colour]}m${text}\x1b[0m`;
}

/** The colour of a delivery's, a subscription's or an attempt's state. */
export function colourOf(state: string): Colour | undefined {
  return STATES.get(state);
}

const STATES = new Map<string, Colour>([
  ["delivered", "green"],
  ["healthy", "green"],
  ["success", "green"],
  ["exhausted", "red"],
  ["failing", "red"],
  ["not answering", "red"],
  ["failure", "red"],
  ["pending", "yellow"],
  ["paused", "yellow"],
  ["cancelled", "dim"],
  ["disabled", "dim"],
]);
