import type { Secret } from "../domain/secret.ts";
import type { Problem } from "./config.ts";
import type { Subscription } from "../domain/subscription.ts";

/** What was read of one entry of a config: all that is needed of it once its text is gone. */
export interface Read {
  readonly subscription: Subscription | undefined;
  readonly id: string | undefined;
  /** Where its id stands. */
  readonly idAt: Mark;
  /** Equal to another's where both send the same events to the same URL; undefined where that is not known. */
  readonly work: string | undefined;
  readonly at: Mark;
}

/** Where something stands, for a problem that is told of later. */
export type Mark = Omit<Problem, "message" | "fix">;

/** Where something is, in words, for a problem elsewhere that points there. */
export function where({ file, line }: Mark, from: Mark): string {
  return file === from.file ? `on line ${line}` : `in ${file}:${line}`;
}

/** A secret that was read for an entry, by where it is to be found. */
export interface UsedSecret {
  readonly kind: "env" | "file" | "credential";
  readonly name: string;
  readonly found: Secret;
}

/** What came of an included file in which nothing is wrong. */
export interface KnownFile {
  /** Of the file, and of the files of secrets that it names, when they were read. */
  readonly stamp: string;
  readonly secrets: readonly (UsedSecret & { readonly stamp: string | undefined })[];
  readonly reads: readonly Read[];
  readonly warnings: readonly Problem[];
}

/**
 * What a daemon remembers of the files that its config includes, so that a reload reads only those
 * that have changed. It holds for one config file, as long as nothing in that changes what is in others.
 */
export class ConfigMemory {
  #around: string | undefined;
  #files: ReadonlyMap<string, KnownFile> = new Map();
  #next = new Map<string, KnownFile>();

  /** Whether a config was read with it before: by a daemon that runs. */
  get isUsed(): boolean {
    return this.#around !== undefined;
  }

  /** Begins to read: `around` is all that files are checked against. */
  begin(around: string): void {
    if (around !== this.#around) this.#files = new Map();
    this.#around = around;
    this.#next = new Map();
  }

  file(path: string): KnownFile | undefined {
    return this.#files.get(path);
  }

  keep(path: string, file: KnownFile): void {
    this.#next.set(path, file);
  }

  /** What was not kept this time is forgotten. */
  end(): void {
    this.#files = this.#next;
    this.#next = new Map();
  }
}

/** A file that was changed so lately may be changed again within the clock's own grain. */
const SETTLED_MS = 2_000;

/**
 * What tells whether a file is still the same; undefined where it can't be told, or the file was changed
 * so lately that it might change again and look the same.
 */
export function stampOf(path: string, now: number): string | undefined {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch {
    return undefined; // whoever reads it finds out why
  }
  const { size, mtime, ctime, ino, dev } = info;
  const changedAt = Math.max(mtime?.getTime() ?? Infinity, ctime?.getTime() ?? Infinity);
  if (!(changedAt + SETTLED_MS < now)) return undefined;
  return `${size}:${mtime!.getTime()}:${ctime!.getTime()}:${ino}:${dev}`;
}
