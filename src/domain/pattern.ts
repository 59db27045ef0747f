/** A compiled pattern over event types: `*` stands for any run of characters, all else is literal. */
export interface Pattern {
  readonly text: string;
  matches(type: string): boolean;
}

export function compilePattern(text: string): Pattern {
  const pieces = text.split("*");
  if (pieces.length === 1) return new Literal(text);
  const first = pieces[0]!, last = pieces.at(-1)!, middle = pieces.slice(1, -1).filter(Boolean);
  return {
    text,
    matches(type) {
      if (type.length < first.length + last.length) return false;
      if (!type.startsWith(first) || !type.endsWith(last)) return false;
      // The leftmost fit of each piece leaves the most room for the next: no backtracking.
      let from = first.length;
      for (const piece of middle) {
        const at = type.indexOf(piece, from);
        if (at < 0) return false;
        from = at + piece.length;
      }
      return from <= type.length - last.length;
    },
  };
}

/** A pattern without `*`, as small as can be: most are, and there are tens of thousands. */
class Literal implements Pattern {
  constructor(readonly text: string) {}

  matches(type: string): boolean {
    return type === this.text;
  }
}

/** Whether some text is matched by both patterns. */
export function patternsOverlap(a: string, b: string): boolean {
  // reachable[j]: some text is matched by a's first i and b's first j characters
  let reachable: boolean[] = [true];
  for (let j = 0; j < b.length; j++) reachable[j + 1] = reachable[j]! && b[j] === "*";
  for (let i = 0; i < a.length; i++) {
    const next: boolean[] = [reachable[0]! && a[i] === "*"];
    for (let j = 0; j < b.length; j++) {
      next[j + 1] = a[i] === "*" || b[j] === "*"
        ? reachable[j + 1]! || next[j]! || reachable[j]!
        : reachable[j]! && a[i] === b[j];
    }
    reachable = next;
  }
  return reachable[b.length]!;
}
