/** Everything that is written for people and has to be true, by its path from the checkout. */
export const PAGES: readonly string[] = [
  "README.md",
  "CHANGELOG.md",
  "bench/README.md",
  "src/README.md",
  ...["docs", "docs/decisions"].flatMap((folder) =>
    [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`)
      .filter((path) => path.endsWith(".md")).sort()
  ),
];

/** A fenced block: its language as it is named, its text without the indentation of its fence. */
export interface Block {
  /** The heading that it stands under; empty above the first. */
  readonly section: string;
  readonly language: string;
  readonly text: string;
}

/** The fenced blocks of a page, in their order. */
export function blocksOf(page: string): Block[] {
  const headingOrBlock = /^#{1,6} (.+)$|^( *)```(\w*)\n([\s\S]*?)^\2```$/gm;
  const blocks: Block[] = [];
  let section = "";
  for (const [, heading, indent, language, text] of page.matchAll(headingOrBlock)) {
    if (heading !== undefined) section = heading;
    else {
      const bare = text!.replaceAll(new RegExp(`^${indent}`, "gm"), "");
      blocks.push({ section, language: language!, text: bare });
    }
  }
  return blocks;
}

/** What a page says outside its blocks and its code. */
export function proseOf(page: string): string {
  return page.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, "").replaceAll(/`[^`\n]*`/g, "code");
}

/** The anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(page: string): Set<string> {
  const anchors = new Set<string>();
  const bare = page.replaceAll(/^( *)```[\s\S]*?^\1```$/gm, "");
  for (const [, heading] of bare.matchAll(/^#{1,6} (.+)$/gm)) {
    const slug = heading!.toLowerCase().replaceAll(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-");
    let anchor = slug;
    for (let number = 1; anchors.has(anchor); number++) anchor = `${slug}-${number}`;
    anchors.add(anchor);
  }
  return anchors;
}
