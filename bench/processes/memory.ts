/**
 * Fills the machine's memory with a file's pages, as on a machine that has run for a day. A virtual
 * machine gets its memory page by page, and the first use of a page takes several times as long as
 * later ones. That would slow down the system that writes most, unlike on a real server. Some hosts
 * take back memory that is unused for minutes, so this must be repeated. The file is sparse, and is
 * removed with its folder.
 */
export function fillMemory(folder: string): void {
  using file = Deno.openSync(`${folder}/memory`, { read: true, write: true, create: true });
  const bytes = Deno.systemMemoryInfo().total;
  file.truncateSync(bytes);
  const piece = new Uint8Array(PIECE_BYTES);
  while (file.readSync(piece) !== null);
}

const PIECE_BYTES = 4 * 2 ** 20;
