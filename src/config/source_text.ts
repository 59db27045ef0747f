import type { Problem } from "./config.ts";
import { formatPath, type Path } from "./problem.ts";

/** The text of a config file. It knows the line and column of each offset. */
export class SourceText {
  readonly file: string;
  readonly text: string;
  /** Found when a line is first asked for, which is rare. */
  #lineStarts: readonly number[] | undefined;

  constructor(file: string, text: string) {
    this.file = file;
    this.text = text;
  }

  /** Line and column of an offset, from 1. */
  position(offset: number): { line: number; column: number } {
    const starts = this.#lineStarts ??= [
      0,
      ...[...this.text.matchAll(/\r\n|\r|\n/g)].map((m) => m.index + m[0].length),
    ];
    let low = 0, high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (starts[middle]! <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - starts[low]! + 1 };
  }

  problem(
    offset: number,
    path: Path,
    { message, fix }: { message: string; fix?: string | undefined },
  ): Problem {
    const place = { file: this.file, ...this.position(offset), path: formatPath(path) };
    return { ...place, message, ...(fix !== undefined && { fix }) };
  }
}
