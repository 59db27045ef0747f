import { inSlices, type Steps, type Turn } from "../runtime/turn.ts";

/** The files of a folder, and the stamps that tell whether they are still the same. */
export interface Listing {
  /** Sorted. Without hidden files, because editors keep unfinished copies in those. */
  readonly names: readonly string[];
  readonly stamps: Stamps;
}

/** How folders are listed. */
export interface ListingOptions {
  /** With it, the work is done in slices. */
  readonly turn: Turn | undefined;
  /** Whether tens of thousands of files are expected. */
  readonly isMany: boolean;
}

/** The numbers of one stamp: folder or not, size, mtime, ctime, inode and device. */
const NUMBERS = 6;

/** Stamps of files, by their index in a list. Equal stamps mean that a file has not changed. */
export class Stamps {
  readonly #numbers: Float64Array;

  /** A NaN in `numbers` means that a later change of the file might not show. */
  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
  }

  /** Stamps made from version numbers. Without a version, a later change might not show. */
  static of(versions: readonly { readonly isFolder: boolean; readonly version?: number }[]) {
    return new Stamps(
      new Float64Array(
        versions.flatMap(({ isFolder, version = NaN }) => [Number(isFolder), version, 0, 0, 0, 0]),
      ),
    );
  }

  isFolder(at: number): boolean {
    return this.#numbers[at * NUMBERS] === 1;
  }

  /** Whether it is the same file as the one in the other list, and unchanged. */
  isSame(at: number, others: Stamps, otherAt: number): boolean {
    const mine = this.#numbers, theirs = others.#numbers;
    for (let i = at * NUMBERS, j = otherAt * NUMBERS; i < (at + 1) * NUMBERS; i++, j++) {
      // NaN is never equal.
      if (mine[i] !== theirs[j]) return false;
    }
    return true;
  }

  /** A single stamp as text. Undefined if a later change of the file might not show. */
  text(at: number): string | undefined {
    const numbers = this.#numbers.subarray(at * NUMBERS, (at + 1) * NUMBERS);
    return numbers.some(Number.isNaN) ? undefined : numbers.join(":");
  }
}

/** Within this time after a change, another change may leave the same times: clocks are coarse. */
const SETTLED_MS = 2_000;

/** Lists folders of this machine, without those below. A folder that can't be read counts as empty. */
export async function listFolders(
  folders: readonly string[],
  how: ListingOptions,
  now: number,
): Promise<readonly Listing[]> {
  const found = await look({ folders, settledBefore: now - SETTLED_MS }, how);
  return found.map(({ names, numbers }) => ({
    // A NUL can't be part of a name.
    names: names === "" ? [] : names.split("\0"),
    stamps: new Stamps(numbers),
  }));
}

/** The stamps of files, which may be in different folders. */
export async function stampsOf(
  files: readonly string[],
  how: ListingOptions,
  now: number,
): Promise<Stamps> {
  const settledBefore = now - SETTLED_MS;
  const [found] = await look({ files, settledBefore }, how);
  return new Stamps(found!.numbers);
}

/** What to look at: the content of folders, or files. */
interface Asked {
  readonly folders?: readonly string[];
  readonly files?: readonly string[];
  readonly settledBefore: number;
}

/** The names in a folder, as one text that a thread hands over fast, and their stamps. */
interface Found {
  readonly names: string;
  readonly numbers: Float64Array<ArrayBuffer>;
}

/**
 * Uses a thread for tens of thousands of files. To start it blocks the event loop for 10 ms. To list
 * 50 000 files would block it for 50 ms, and to list them asynchronously takes 200 ms.
 */
async function look(asked: Asked, { turn, isMany }: ListingOptions): Promise<Found[]> {
  return turn && isMany && await inThread(asked) || await inSlices(looking(asked), turn);
}

/** A thread runs it too, from its source text. So it must not use anything from outside. */
function* looking({ folders, files, settledBefore }: Asked): Steps<Found[]> {
  const NUMBERS = 6, FILES_A_STEP = 32;
  const put = (numbers: Float64Array, at: number, path: string) => {
    try {
      const { isDirectory, size, mtime, ctime, ino, dev } = Deno.statSync(path);
      const changedAt = mtime?.getTime() ?? NaN, statusAt = ctime?.getTime() ?? NaN;
      const isSettled = Math.max(changedAt, statusAt) < settledBefore;
      numbers[at] = Number(isDirectory);
      numbers[at + 1] = isSettled ? size : NaN;
      numbers[at + 2] = changedAt;
      numbers[at + 3] = statusAt;
      numbers[at + 4] = ino ?? 0;
      numbers[at + 5] = dev;
    } catch {
      numbers[at + 1] = NaN; // reading the file will show why
    }
  };
  const found: Found[] = [];
  for (const folder of folders ?? []) {
    let names: string[] = [];
    try {
      names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    } catch {
      // a folder that doesn't exist yet counts as empty
    }
    yield;
    names = names.filter((name) => !name.startsWith(".")).sort();
    yield;
    const numbers = new Float64Array(names.length * NUMBERS);
    for (let index = 0; index < names.length; index++) {
      put(numbers, index * NUMBERS, `${folder}/${names[index]}`);
      if (index % FILES_A_STEP === 0) yield;
    }
    found.push({ names: names.join("\0"), numbers });
  }
  if (files) {
    const numbers = new Float64Array(files.length * NUMBERS);
    for (const [index, path] of files.entries()) {
      put(numbers, index * NUMBERS, path);
      if (index % FILES_A_STEP === 0) yield;
    }
    found.push({ names: "", numbers });
  }
  return found;
}

/** Undefined if no thread can be started; then the caller does the work itself. */
async function inThread(asked: Asked): Promise<Found[] | undefined> {
  const url = URL.createObjectURL(new Blob([THREAD], { type: "text/javascript" }));
  try {
    const worker = new Worker(url, { type: "module", name: "files" });
    try {
      return await new Promise<Found[] | undefined>((resolve) => {
        worker.onmessage = ({ data }) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          resolve(undefined);
        };
        worker.postMessage(asked);
      });
    } finally {
      worker.terminate();
    }
  } catch {
    return undefined;
  } finally {
    URL.revokeObjectURL(url);
  }
}

const THREAD = `
const looking = ${looking};
globalThis.onmessage = ({ data }) => {
  const steps = looking(data);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return postMessage(value, value.map(({ numbers }) => numbers.buffer));
  }
};`;
