import type { Secret } from "../domain/secret.ts";
import type { Problem } from "./config.ts";
import type { Listing } from "./listing.ts";
import type { Subscription } from "../domain/subscription.ts";

/** What was read of a subscription in a file: all that is needed of it once the text is gone. */
export interface ReadEntry {
  readonly subscription: Subscription | undefined;
  readonly id: string | undefined;
  /** The place of its id. */
  readonly idAt: Mark;
  /** Equal for subscriptions that send the same events to the same URL. Undefined if it isn't known. */
  readonly work: string | undefined;
  readonly at: Mark;
}

/** The position of something, for a problem that is reported later. */
export type Mark = Omit<Problem, "message" | "fix">;

/** Describes a position, for a problem at another one that refers to it. */
export function where({ file, line }: Mark, from: Mark): string {
  return file === from.file ? `on line ${line}` : `in ${file}:${line}`;
}

/** A secret that subscriptions use, and where it was found. */
export interface UsedSecret {
  readonly kind: "env" | "file" | "credential";
  readonly name: string;
  readonly found: Secret;
  /** That of its file. Undefined without a file, or if a later change of the file might not show. */
  readonly stamp?: string;
}

/** What was read from an included file without problems. */
export interface KnownFile {
  readonly secrets: readonly UsedSecret[];
  readonly reads: readonly ReadEntry[];
  readonly warnings: readonly Problem[];
}

/**
 * What a daemon remembers of included files, so that a reload reads only those that have changed. If
 * the config file changes in a way that matters to included files, all of them are read again.
 */
export class ConfigMemory {
  #context: string | undefined;
  #folders = new Map<string, FolderMemory>();
  #next = new Map<string, FolderMemory>();

  /** Whether a config has been read with it already, which means that the daemon is running. */
  get isUsed(): boolean {
    return this.#context !== undefined;
  }

  /** How many files were included the last time. */
  get size(): number {
    return [...this.#folders.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /** Begins a reload. `context` is everything in the config file that matters to included files. */
  begin(context: string): void {
    if (context !== this.#context) this.#folders = new Map();
    this.#context = context;
    this.#next = new Map();
  }

  /** The memory of a folder. A single file has its own, under its path. */
  folder(path: string, listing: Listing): FolderMemory {
    const known = this.#next.get(path);
    if (known) return known;
    const folder = new FolderMemory(listing, this.#folders.get(path));
    this.#next.set(path, folder);
    return folder;
  }

  /** The secrets of all remembered files, each once. */
  get secrets(): ReadonlySet<UsedSecret> {
    const secrets = new Set<UsedSecret>();
    for (const folder of this.#folders.values()) folder.addSecretsTo(secrets);
    return secrets;
  }

  /** The included file of a subscription. Undefined if it is in none, or in none that is remembered. */
  fileOf(id: string): string | undefined {
    for (const folder of this.#folders.values()) {
      const file = folder.fileOf(id);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  /** Ends a reload. Files that were not kept during it are forgotten. */
  end(): void {
    this.#folders = this.#next;
    for (const folder of this.#folders.values()) folder.forgetBefore();
    this.#next = new Map();
  }
}

/**
 * The files of one folder, before and now. Both lists are sorted, so they are walked side by side. To
 * look up each of 50 000 files by name took 10 ms.
 */
export class FolderMemory {
  readonly #listing: Listing;
  readonly #files: (KnownFile | undefined)[];
  /** The files that must be read again. */
  readonly #passing: KnownFile[] = [];
  #before: FolderMemory | undefined;
  /** The earlier index of the next file, unless files were added or removed in between. */
  #next = 0;

  constructor(listing: Listing, before: FolderMemory | undefined) {
    this.#listing = listing;
    this.#before = before;
    this.#files = Array(listing.names.length).fill(undefined);
  }

  get size(): number {
    return this.#files.length;
  }

  /** What was read from a file before. Undefined if the file has changed since. */
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

  /** Notes what was read from a file that must be read again. */
  note(file: KnownFile): void {
    this.#passing.push(file);
  }

  /** Whether a later change of the file will show. Otherwise it must be read again. */
  canKeep(at: number): boolean {
    return this.#listing.stamps.text(at) !== undefined;
  }

  forgetBefore(): void {
    this.#before = undefined;
    this.#next = 0;
  }

  fileOf(id: string): string | undefined {
    const isIn = (file: KnownFile | undefined) => file?.reads.some((read) => read.id === id);
    const file = this.#files.find(isIn) ?? this.#passing.find(isIn);
    return file?.reads[0]?.at.file;
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
