import { inSlices, type Steps, type Turn } from "../runtime/turn.ts";

/** The files of a folder, and what tells whether each is still the same. */
export interface Listing {
  /** In the order of their characters; without hidden ones, for editors put unfinished copies there. */
  readonly names: readonly string[];
  readonly stamps: Stamps;
}

/** How folders are looked into. */
export interface Looking {
  /** Where others need the loop meanwhile. */
  readonly turn: Turn | undefined;
  /** Whether tens of thousands of files are to be expected. */
  readonly isMany: boolean;
}

/** Folder or not, size, mtime, ctime, inode and device. */
const NUMBERS = 6;

/** What tells of files whether they are still the same, each by its place in a list. */
export class Stamps {
  readonly #numbers: Float64Array;

  /** `numbers` has NaN where it can't be told whether a file is the same, or not yet. */
  constructor(numbers: Float64Array) {
    this.#numbers = numbers;
  }

  /** Of files, each of which has a number that tells, or none. */
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

  /** Whether it is the same file as one in another list, and has not changed. */
  isSame(at: number, others: Stamps, otherAt: number): boolean {
    const mine = this.#numbers, theirs = others.#numbers;
    for (let i = at * NUMBERS, j = otherAt * NUMBERS; i < (at + 1) * NUMBERS; i++, j++) {
      // NaN is equal to nothing.
      if (mine[i] !== theirs[j]) return false;
    }
    return true;
  }

  /** All of it as a text, to be kept alone; undefined where it can't be told, or not yet. */
  text(at: number): string | undefined {
    const numbers = this.#numbers.subarray(at * NUMBERS, (at + 1) * NUMBERS);
    return numbers.some(Number.isNaN) ? undefined : numbers.join(":");
  }
}

/** So long after its last change a file may change again and look the same: clocks have a grain. */
const SETTLED_MS = 2_000;

/** Looks into folders of this machine, each by itself. One that cannot be read holds no files. */
export async function listFolders(
  folders: readonly string[],
  how: Looking,
  now: number,
): Promise<readonly Listing[]> {
  const found = await look({ folders, settledBefore: now - SETTLED_MS }, how);
  return found.map(({ names, numbers }) => ({
    // No name has a NUL in it.
    names: names === "" ? [] : names.split("\0"),
    stamps: new Stamps(numbers),
  }));
}

/** The stamps of files, wherever they are. */
export async function stampsOf(
  files: readonly string[],
  how: Looking,
  now: number,
): Promise<Stamps> {
  const settledBefore = now - SETTLED_MS;
  const [found] = await look({ files, settledBefore }, how);
  return new Stamps(found!.numbers);
}

/** What is looked for: what is in folders, or files. */
interface Asked {
  readonly folders?: readonly string[];
  readonly files?: readonly string[];
  readonly settledBefore: number;
}

/** Of a folder the names, one text to be handed over fast, and NUMBERS numbers each. */
interface Found {
  readonly names: string;
  readonly numbers: Float64Array<ArrayBuffer>;
}

/**
 * A thread is worth its start, which holds the loop for 10 ms, where there are tens of thousands of
 * files: to list 50 000 holds the loop for 50 ms, and to ask for them one by one takes 200.
 */
async function look(asked: Asked, { turn, isMany }: Looking): Promise<Found[]> {
  return turn && isMany && await inThread(asked) || await inSlices(looking(asked), turn);
}

/** Runs in a thread as well, which gets its text: nothing from outside it can be used. */
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
      numbers[at + 1] = NaN; // whoever reads it finds out why
    }
  };
  const found: Found[] = [];
  for (const folder of folders ?? []) {
    let names: string[] = [];
    try {
      names = Array.from(Deno.readDirSync(folder), ({ name }) => name);
    } catch {
      // a folder that is not there yet holds no files
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

/** Undefined where there can be no thread now: then whoever asks looks by itself. */
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
