import { type Colour, paint } from "./paint.ts";
import { printable } from "./printable.ts";
import type { Terminal } from "./terminal.ts";
import { cut, padded, widthOf, wrapped } from "./text_width.ts";

/** What stands in a table: text, or text in a colour. */
export type Cell = string | { readonly text: string; readonly colour: Colour | undefined };

/** A column of a table, and what a narrow terminal may do to it. */
export interface Column<Row> {
  readonly heading: string;
  readonly cell: (row: Row) => Cell;
  /** Where there is little room it gets narrower, down to this width; never where left out. */
  readonly shrinksTo?: number;
  /** Being narrower it goes over several lines; else it is cut. */
  readonly wraps?: boolean;
  /** Where shrinking is not enough, columns with a rank are left out, the lowest rank first. */
  readonly dropRank?: number;
  /** Its heading goes along where rows are stacked: a bare number would say nothing there. */
  readonly named?: boolean;
}

type Screen = Pick<Terminal, "stdout" | "columns" | "colour">;

/**
 * Prints rows: aligned under headings and within the terminal's width, or, where stdout is no
 * terminal, each as a line of all its cells, divided by tabs.
 */
export function printTable<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  screen: Screen,
): void {
  if (screen.columns === undefined) {
    for (const row of rows) printLine(columns.map(({ cell }) => cell(row)), screen);
    return;
  }
  if (rows.length === 0) return;
  const layout = layoutOf(rows, columns, screen.columns);
  if (layout === undefined) return printStacked(rows, columns, screen);
  const headings = layout.map(({ column }) => ({ text: column.heading, colour: "bold" as const }));
  printRow(headings, layout, screen);
  for (const row of rows) printRow(layout.map(({ column }) => column.cell(row)), layout, screen);
}

/** Prints one row for itself, without headings: as wide as its own cells, or divided by tabs. */
export function printTableRow<Row>(
  row: Row,
  columns: readonly Column<Row>[],
  screen: Screen,
): void {
  const cells = columns.map(({ cell }) => cell(row));
  if (screen.columns === undefined) return printLine(cells, screen);
  const given = columns.filter((_, index) => textOf(cells[index]!) !== "")
    .map((column) => ({ ...column, heading: "" }));
  const layout = layoutOf([row], given, screen.columns);
  if (layout === undefined) return printLine(cells, screen);
  printRow(layout.map(({ column }) => column.cell(row)), layout, screen);
}

/** Prints cells as one line: cut to the terminal's width, or divided by tabs. */
export function printLine(cells: readonly Cell[], screen: Screen): void {
  if (screen.columns === undefined) {
    return screen.stdout(`${cells.map(textOf).join("\t")}\n`);
  }
  let left = screen.columns;
  const parts: string[] = [];
  for (const cell of cells.filter((cell) => textOf(cell) !== "")) {
    const text = cut(textOf(cell), left);
    if (text === "") break;
    parts.push(paint(text, colourOf(cell), screen));
    left -= widthOf(text) + GAP.length;
  }
  screen.stdout(`${parts.join(GAP)}\n`);
}

/** Prints names and values, a line each; empty values are left out. */
export function printFields(
  fields: readonly (readonly [name: string, value: Cell])[],
  screen: Screen,
): void {
  const given = fields.filter(([, value]) => textOf(value) !== "");
  if (screen.columns === undefined) {
    for (const field of given) printLine(field, screen);
    return;
  }
  const indent = Math.max(...given.map(([name]) => name.length)) + GAP.length;
  for (const [name, value] of given) {
    const beside = wrapped(textOf(value), screen.columns - indent);
    // An id in two pieces can't be copied: what does not fit beside the name stands beneath it.
    const fits = beside.join(" ") === textOf(value);
    const lines = fits ? beside : ["", ...wrapped(textOf(value), screen.columns - GAP.length)];
    lines.forEach((line, index) => {
      const before = padded(index === 0 ? name : "", fits ? indent : GAP.length);
      screen.stdout(`${before}${paint(line, colourOf(value), screen)}\n`.replace(/ +\n$/, "\n"));
    });
  }
}

/** Prints text from outside as a paragraph beneath what it belongs to. */
export function printIndented(text: string, screen: Screen): void {
  const width = Math.max((screen.columns ?? 80) - GAP.length, LEAST_WIDTH);
  for (const line of wrapped(printable(text), width)) screen.stdout(`${GAP}${line}\n`);
}

const GAP = "  ";
const LEAST_WIDTH = 16;

type Layout<Row> = readonly { readonly column: Column<Row>; readonly width: number }[];

function textOf(cell: Cell): string {
  return printable(typeof cell === "string" ? cell : cell.text);
}

function colourOf(cell: Cell): Colour | undefined {
  return typeof cell === "string" ? undefined : cell.colour;
}

/** The widest layout that fits; undefined where none does. */
function layoutOf<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  available: number,
): Layout<Row> | undefined {
  let kept = columns.map((column) => {
    const widths = rows.map((row) => widthOf(textOf(column.cell(row))));
    const widest = Math.max(...widths);
    return { column, width: Math.max(column.heading.length, widest), isEmpty: widest === 0 };
  });
  // Where there is no room for all, those go first that say nothing.
  if (excessOf(kept, available) > 0) kept = kept.filter(({ isEmpty }) => !isEmpty);
  for (;;) {
    const shrunk = shrunkTo(kept, available);
    if (shrunk) return shrunk;
    const ranks = kept.flatMap(({ column: { dropRank } }) => dropRank ?? []);
    if (ranks.length === 0) return undefined;
    const lowest = Math.min(...ranks);
    kept = kept.filter(({ column }) => column.dropRank !== lowest);
  }
}

function shrunkTo<Row>(layout: Layout<Row>, available: number): Layout<Row> | undefined {
  const widths = layout.map(({ width }) => width);
  const least = layout.map(({ column, width }) => Math.min(width, column.shrinksTo ?? width));
  const excess = () => excessOf(widths.map((width) => ({ width })), available);
  while (excess() > 0) {
    // The column that has most to give, so that all get short together.
    const spare = widths.map((width, index) => width > least[index]! ? width : 0);
    const widest = Math.max(...spare);
    if (widest === 0) return undefined;
    widths[spare.indexOf(widest)]!--;
  }
  return layout.map(({ column }, index) => ({ column, width: widths[index]! }));
}

function excessOf(columns: readonly { readonly width: number }[], available: number): number {
  return sum(columns.map(({ width }) => width)) + GAP.length * (columns.length - 1) - available;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

function printRow<Row>(cells: readonly Cell[], layout: Layout<Row>, screen: Screen): void {
  const columns = cells.map((cell, index) => {
    const { column, width } = layout[index]!;
    return column.wraps ? wrapped(textOf(cell), width) : [cut(textOf(cell), width)];
  });
  const height = Math.max(...columns.map((lines) => lines.length));
  for (let number = 0; number < height; number++) {
    // Nothing follows the last text of a line: blanks at its end would only wrap.
    const last = columns.findLastIndex((lines) => lines[number]);
    const parts = columns.slice(0, last + 1).map((lines, index) => {
      const text = lines[number] ?? "";
      const blanks = index === last ? "" : " ".repeat(layout[index]!.width - widthOf(text));
      return paint(text, colourOf(cells[index]!), screen) + blanks;
    });
    screen.stdout(`${parts.join(GAP)}\n`);
  }
}

/** For a terminal too narrow for a table: the first cell of a row, and beneath it the others. */
function printStacked<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  screen: Screen,
): void {
  const width = screen.columns!;
  for (const row of rows) {
    const [first, ...others] = columns.map((column) => stackedCell(column, row));
    screen.stdout(`${paint(cut(textOf(first!), width), colourOf(first!), screen)}\n`);
    let line = "";
    let left = 0;
    for (const cell of others.filter((cell) => textOf(cell) !== "")) {
      for (const text of wrapped(textOf(cell), Math.max(width - GAP.length, 1))) {
        if (widthOf(text) + GAP.length > left && line !== "") {
          screen.stdout(`${line}\n`);
          line = "";
        }
        if (line === "") left = width;
        line += GAP + paint(text, colourOf(cell), screen);
        left -= widthOf(text) + GAP.length;
      }
    }
    if (line !== "") screen.stdout(`${line}\n`);
  }
}

function stackedCell<Row>({ cell, heading, named }: Column<Row>, row: Row): Cell {
  const text = textOf(cell(row));
  const label = named && text !== "" ? `${heading.toLowerCase()} ` : "";
  return { text: label + text, colour: colourOf(cell(row)) };
}
