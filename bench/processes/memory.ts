/**
 * Fills the machine's memory with a file's pages, as it is where a machine has run for a day. A virtual
 * one is given its memory page by page, and to use a page for the first time takes several times as
 * long as ever after: whoever writes most would pay most for what no server meets. Some hosts take
 * back what is not used for minutes, so that it has to be done again. The file has no content, and
 * goes with its folder.
 */
export function fillMemory(folder: string): void {
  using file = Deno.openSync(`${folder}/memory`, { read: true, write: true, create: true });
  const bytes = Deno.systemMemoryInfo().total;
  file.truncateSync(bytes);
  const piece = new Uint8Array(PIECE_BYTES);
  while (file.readSync(piece) !== null);
}

const PIECE_BYTES = 4 * 2 ** 20;
