/** What the journal of a database that nobody has open holds: its committed pages. */
export interface JournalContent {
  readonly pageBytes: number;
  /** How many transactions; 0 where nothing in it counts. */
  readonly commits: number;
  /** How many pages the database has after the last of them. */
  readonly pageCount: number;
  /** The numbers of all pages in it. */
  readonly pages: ReadonlySet<number>;
  /** The last state of the database's first page, if it is there. */
  readonly firstPage?: Uint8Array;
}

const HEAD_BYTES = 32, FRAME_HEAD_BYTES = 24;
/** Without the last bit, which is set where checksums are of big-endian words. */
const MAGIC = 0x377f0682;

/** Reads it as SQLite does when it recovers one (sqlite.org, "WAL-mode File Format"). */
export function readJournal(path: string): JournalContent | undefined {
  using file = Deno.openSync(path);
  const head = new Uint8Array(HEAD_BYTES);
  if (file.readSync(head) !== HEAD_BYTES) return undefined;
  const view = new DataView(head.buffer);
  const magic = view.getUint32(0), pageBytes = view.getUint32(8);
  const isSize = pageBytes >= 512 && pageBytes <= 65_536 && (pageBytes & (pageBytes - 1)) === 0;
  if ((magic & ~1) !== MAGIC || !isSize) return undefined;
  const sum = new Checksum((magic & 1) === 0);
  sum.add(view, 0, HEAD_BYTES - 8);
  if (!sum.is(view.getUint32(24), view.getUint32(28))) return undefined;
  return readFrames(file, { pageBytes, sum, salts: [view.getUint32(16), view.getUint32(20)] });
}

function readFrames(
  file: Deno.FsFile,
  { pageBytes, sum, salts }: { pageBytes: number; sum: Checksum; salts: readonly number[] },
): JournalContent {
  const pages = new Set<number>(), uncommitted = new Set<number>();
  let commits = 0, pageCount = 0;
  let firstPage: Uint8Array | undefined, uncommittedFirst: Uint8Array | undefined;
  const frame = new Uint8Array(FRAME_HEAD_BYTES + pageBytes);
  const view = new DataView(frame.buffer);
  while (readWhole(file, frame)) {
    if (view.getUint32(8) !== salts[0] || view.getUint32(12) !== salts[1]) break;
    sum.add(view, 0, 8);
    sum.add(view, FRAME_HEAD_BYTES, frame.length);
    if (!sum.is(view.getUint32(16), view.getUint32(20))) break;
    const page = view.getUint32(0), countAfter = view.getUint32(4);
    uncommitted.add(page);
    if (page === 1) uncommittedFirst = frame.slice(FRAME_HEAD_BYTES);
    if (countAfter === 0) continue;
    commits++;
    pageCount = countAfter;
    for (const number of uncommitted) pages.add(number);
    uncommitted.clear();
    firstPage = uncommittedFirst ?? firstPage;
  }
  return { pageBytes, commits, pageCount, pages, ...(firstPage && { firstPage }) };
}

function readWhole(file: Deno.FsFile, into: Uint8Array): boolean {
  for (let length = 0; length < into.length;) {
    const read = file.readSync(into.subarray(length));
    if (read === null) return false;
    length += read;
  }
  return true;
}

/** The running checksum of a journal. */
class Checksum {
  readonly #littleEndian: boolean;
  #first = 0;
  #second = 0;

  constructor(littleEndian: boolean) {
    this.#littleEndian = littleEndian;
  }

  add(view: DataView, from: number, to: number): void {
    for (let at = from; at < to; at += 8) {
      this.#first = (this.#first + view.getUint32(at, this.#littleEndian) + this.#second) >>> 0;
      this.#second = (this.#second + view.getUint32(at + 4, this.#littleEndian) + this.#first) >>>
        0;
    }
  }

  is(first: number, second: number): boolean {
    return this.#first === first && this.#second === second;
  }
}
