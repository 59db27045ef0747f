import type { Chance } from "../simulation/chance.ts";
import type { DiskFile, Step } from "../disk/watched_disk.ts";

type Named = Exclude<DiskFile, "folder">;
type Bytes = Uint8Array<ArrayBuffer>;

/** A file's state: the content on disk, and what was written since. */
interface Inode {
  /** As of its last fsync. */
  readonly durable: Contents;
  readonly since: Change[];
}

type Change = Step & { readonly kind: "write" | "truncate" };

/** The files of a database after a power failure. */
export type Image = ReadonlyMap<Named, Bytes>;

const SECTOR = 512;

/**
 * A disk with a cache that a power failure empties. An fsync makes a file's contents durable, and its
 * name; that a name was taken away is durable once the folder was synced.
 */
export class CachedDisk {
  readonly #liesAboutSyncs: boolean;
  readonly #syncing = new Map<number, () => void>();
  #names = new Map<Named, Inode>();
  #durableNames = new Map<Named, Inode>();

  /** Whether fsync does nothing, but reports success. */
  constructor({ liesAboutSyncs = false } = {}) {
    this.#liesAboutSyncs = liesAboutSyncs;
  }

  apply(step: Step): void {
    switch (step.kind) {
      case "accepted":
      case "failed":
        return;
      case "syncing":
        if (!this.#liesAboutSyncs) this.#syncing.set(step.number, this.#sync(step.file));
        return;
      case "synced":
        this.#syncing.get(step.number)?.();
        return;
      case "unlink":
        if (step.file !== "folder") this.#names.delete(step.file);
        return;
      case "write":
      case "truncate":
        if (step.file !== "folder") this.#inode(step.file).since.push(step);
    }
  }

  /** The files after a power failure now. Any part of what isn't durable may be there. */
  fail(chance: Chance): Image {
    const image = new Map<Named, Bytes>();
    for (const name of NAMES) {
      const names = chance.happens(0.5) ? this.#names : this.#durableNames;
      const inode = names.get(name);
      if (inode) image.set(name, contentsOf(inode, chance));
    }
    return image;
  }

  #inode(name: Named): Inode {
    const known = this.#names.get(name);
    if (known) return known;
    const made: Inode = { durable: new Contents(), since: [] };
    this.#names.set(name, made);
    return made;
  }

  /** What is durable if a sync that starts now succeeds; later writes are not included. */
  #sync(file: DiskFile): () => void {
    if (file === "folder") {
      const names = new Map(this.#names);
      return () => this.#durableNames = names;
    }
    const inode = this.#inode(file);
    const last = inode.since.at(-1);
    return () => {
      const count = last === undefined ? 0 : inode.since.indexOf(last) + 1;
      for (const step of inode.since.splice(0, count)) inode.durable.apply(step);
      if (this.#names.get(file) === inode) this.#durableNames.set(file, inode);
    };
  }
}

const NAMES: readonly Named[] = ["database", "journal", "rollback"];

/** How much of what was not synced reached the disk. */
const SHARES = { none: 1, all: 1, some: 4, first: 3 };

function contentsOf({ durable, since }: Inode, chance: Chance): Bytes {
  const share = chance.weighed(SHARES);
  const first = chance.whole(0, since.length);
  const luck = chance.next();
  const contents = durable.copy();
  for (const [index, step] of since.entries()) {
    const isWhole = share === "all" || share === "first" && index < first ||
      share === "some" && chance.happens(luck);
    const isTorn = share === "first" && index === first || share === "some" && chance.happens(0.3);
    if (isWhole) contents.apply(step);
    else if (isTorn) { for (const part of torn(step, chance)) contents.apply(part); }
    else if (share === "some" && step.kind === "write" && chance.happens(0.1)) {
      // The file has grown, but the new data never reached the disk.
      contents.extend(step.at + step.bytes.length);
    }
  }
  return contents.bytes;
}

/** A random part of a write's sectors; each sector is written completely or not at all. */
function torn(step: Change, chance: Chance): Change[] {
  if (step.kind === "truncate") return [];
  const { file, at, bytes } = step;
  const parts: Change[] = [];
  for (let from = at; from < at + bytes.length;) {
    const to = Math.min(at + bytes.length, (Math.floor(from / SECTOR) + 1) * SECTOR);
    if (chance.happens(0.5)) {
      parts.push({ kind: "write", file, at: from, bytes: bytes.subarray(from - at, to - at) });
    }
    from = to;
  }
  return parts;
}

/** The bytes of a file, in a buffer that can grow. */
class Contents {
  #room: Bytes;
  #length: number;

  constructor(bytes: Bytes = new Uint8Array()) {
    this.#room = bytes;
    this.#length = bytes.length;
  }

  get bytes(): Bytes {
    return this.#room.subarray(0, this.#length);
  }

  copy(): Contents {
    return new Contents(this.bytes.slice());
  }

  apply(step: Change): void {
    if (step.kind === "write") {
      this.extend(step.at + step.bytes.length);
      this.#room.set(step.bytes, step.at);
    } else if (step.length > this.#length) this.extend(step.length);
    else {
      this.#room.fill(0, step.length, this.#length);
      this.#length = step.length;
    }
  }

  /** Extends it with zeros to at least this length. */
  extend(length: number): void {
    if (length > this.#room.length) {
      const room = new Uint8Array(Math.max(length, 2 * this.#room.length));
      room.set(this.bytes);
      this.#room = room;
    }
    this.#length = Math.max(this.#length, length);
  }
}
