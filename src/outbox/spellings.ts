/**
 * The ways in which JSON as we store it may spell a text that somebody looks for. The case of ASCII
 * letters does not count; other letters are looked for as they are, small, capital, and capital at the
 * beginning of words.
 */
export function spellingsOf(text: string): string[] {
  const spelled = new Set<string>();
  for (const spelling of jsonSpellings(text)) {
    spelled.add(spelling);
    if (IS_ASCII.test(spelling)) continue;
    for (const cased of [spelling.toLowerCase(), spelling.toUpperCase(), capitalized(spelling)]) {
      spelled.add(cased);
    }
  }
  return [...spelled].slice(0, MOST_SPELLINGS);
}

/** So many are looked for at the most. */
export const MOST_SPELLINGS = 8;

const IS_ASCII = /^[\0-\x7f]*$/;

/** The text as it stands within a JSON string, and, where it may be JSON itself, as that. */
function jsonSpellings(text: string): string[] {
  const withinString = JSON.stringify(text).slice(1, -1);
  if (withinString === text) return [text];
  // deno-lint-ignore no-control-regex
  const isPossible = (spelling: string) => !/[\0-\x1f]/.test(spelling);
  // What is stored has no control characters as they are.
  return [withinString, ...[compacted(text), ...unescaped(text)].filter(isPossible)];
}

/** Copied from where it stands indented, with space around colons and after commas and brackets. */
function compacted(text: string): string {
  return text.replace(/"\s*:\s+/g, '":').replace(/,\s+"/g, ',"')
    .replace(/([[{])\s+/g, "$1").replace(/\s+([\]}])/g, "$1");
}

/** Copied from a program that writes `\u00e9`: what is stored has the letter itself. */
function unescaped(text: string): string[] {
  try {
    return [JSON.stringify(JSON.parse(`"${text}"`)).slice(1, -1)];
  } catch {
    return [];
  }
}

function capitalized(text: string): string {
  return text.toLowerCase().replace(
    /(^|[^\p{L}])(\p{L})/gu,
    (_, before: string, letter: string) => before + letter.toUpperCase(),
  );
}
