import type { Secret } from "../domain/secret.ts";
import type { Problem } from "./config.ts";
import type { Listing } from "./listing.ts";
import type { Subscription } from "../domain/subscription.ts";

/** What was read of a subscription in a file: all that is needed of it once the text is gone. */
export interface ReadEntry {
  readonly subscription: Subscription | undefined;
  readonly id: string | undefined;
  /** Where its id stands. */
  readonly idAt: Mark;
  /** Equal for subscriptions that send the same events to the same URL. Undefined if it isn't known. */
  readonly work: string | undefined;
  readonly at: Mark;
}

/** Where something stands, for a problem that is told of later. */
export type Mark = Omit<Problem, "message" | "fix">;

/** Where something is, in words, for a problem elsewhere that points there. */
export function where({ file, line }: Mark, from: Mark): string {
  return file === from.file ? `on line ${line}` : `in ${file}:${line}`;
}

/** A secret that was read for entries, by where it is to be found. */
export interface UsedSecret {
  readonly kind: "env" | "file" | "credential";
  readonly name: string;
  readonly found: Secret;
  /** Of the file that it is in; undefined where it is in none, or that can't be told yet. */
  readonly stamp?: string;
}

/** What came of an included file in which nothing is wrong. */
export interface KnownFile {
  readonly secrets: readonly UsedSecret[];
  readonly reads: readonly ReadEntry[];
  readonly warnings: readonly Problem[];
}

/**
 * What a daemon remembers of the files that its config includes, so that a reload reads only those
 * that have changed. It holds for one config file, as long as nothing in that changes what is in others.
 */
export class ConfigMemory {
  #context: string | undefined;
  #folders = new Map<string, FolderMemory>();
  #next = new Map<string, FolderMemory>();

  /** Whether a config was read with it before: by a daemon that runs. */
  get isUsed(): boolean {
    return this.#context !== undefined;
  }

  /** How many files there were the last time. */
  get size(): number {
    return [...this.#folders.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Begins to read: `context` is all that files are checked against. */
  begin(context: string): void {
    if (context !== this.#context) this.#folders = new Map();
    this.#context = context;
    this.#next = new Map();
  }

  /** What is remembered of a folder, as it is now; of one file, under that file's own path. */
  folder(path: string, listing: Listing): FolderMemory {
    const known = this.#next.get(path);
    if (known) return known;
    const folder = new FolderMemory(listing, this.#folders.get(path));
    this.#next.set(path, folder);
    return folder;
  }

  /** The secrets of all that is remembered, each once. */
  get secrets(): ReadonlySet<UsedSecret> {
    const secrets = new Set<UsedSecret>();
    for (const folder of this.#folders.values()) folder.addSecretsTo(secrets);
    return secrets;
  }

  /** The included file that a subscription is in; undefined where it is in none that is remembered. */
  fileOf(id: string): string | undefined {
    for (const folder of this.#folders.values()) {
      const file = folder.fileOf(id);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  /** What was not kept this time is forgotten. */
  end(): void {
    this.#folders = this.#next;
    for (const folder of this.#folders.values()) folder.forgetBefore();
    this.#next = new Map();
  }
}

/**
 * The files of one folder. Names are in order both times, so that the two lists are walked side by
 * side: to look each of 50 000 up by its name took 10 ms.
 */
export class FolderMemory {
  readonly #listing: Listing;
  readonly #files: (KnownFile | undefined)[];
  /** Those that are not to be known by their places. */
  readonly #passing: KnownFile[] = [];
  #before: FolderMemory | undefined;
  /** Where the next file was before, unless some have come or gone. */
  #next = 0;

  constructor(listing: Listing, before: FolderMemory | undefined) {
    this.#listing = listing;
    this.#before = before;
    this.#files = Array(listing.names.length).fill(undefined);
  }

  get size(): number {
    return this.#files.length;
  }

  /** What came of a file before; undefined where it has changed since. */
  known(at: number): KnownFile | undefined {
    const before = this.#before;
    if (!before) return undefined;
    const there = before.#placeOf(this.#listing.names[at]!);
    if (there === undefined) return undefined;
    const isSame = this.#listing.stamps.isSame(at, before.#listing.stamps, there);
    return isSame ? before.#files[there] : undefined;
  }

  keep(at: number, file: KnownFile): void {
    this.#files[at] = file;
  }

  /** What came of a file that is to be read anew the next time. */
  note(file: KnownFile): void {
    this.#passing.push(file);
  }

  /** Whether what is read of a file now tells what it is the next time. */
  canKeep(at: number): boolean {
    return this.#listing.stamps.text(at) !== undefined;
  }

  forgetBefore(): void {
    this.#before = undefined;
    this.#next = 0;
  }

  fileOf(id: string): string | undefined {
    for (const file of [...this.#files, ...this.#passing]) {
      const read = file?.reads.find((read) => read.id === id);
      if (read) return read.at.file;
    }
    return undefined;
  }

  addSecretsTo(all: Set<UsedSecret>): void {
    for (const file of this.#files) {
      for (const secret of file?.secrets ?? []) all.add(secret);
    }
  }

  #placeOf(name: string): number | undefined {
    const { names } = this.#listing;
    let low = this.#next, high = names.length;
    if (names[low] !== name) {
      low = 0;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (names[middle]! < name) low = middle + 1;
        else high = middle;
      }
      if (names[low] !== name) return undefined;
    }
    this.#next = low + 1;
    return low;
  }
}
