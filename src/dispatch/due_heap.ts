import type { Instant } from "../domain/instant.ts";

interface Entry<Item> {
  readonly at: Instant;
  readonly item: Item;
}

/** Items by the instant they are due at, the earliest on top: a binary heap. */
export class DueHeap<Item> {
  #entries: Entry<Item>[] = [];

  get size(): number {
    return this.#entries.length;
  }

  /** When the top is due; undefined where there is none. */
  get nextAt(): Instant | undefined {
    return this.#entries[0]?.at;
  }

  push(at: Instant, item: Item): void {
    const entries = this.#entries;
    let index = entries.push({ at, item }) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (entries[parent]!.at <= at) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  /** Takes the top where it is due by now. */
  popDue(now: Instant): Item | undefined {
    const top = this.#entries[0];
    if (!top || top.at > now) return undefined;
    const last = this.#entries.pop()!;
    if (this.#entries.length > 0) {
      this.#entries[0] = last;
      this.#sink();
    }
    return top.item;
  }

  clear(): void {
    this.#entries = [];
  }

  #sink(): void {
    const entries = this.#entries;
    for (let index = 0;;) {
      let least = index;
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < entries.length && entries[child]!.at < entries[least]!.at) least = child;
      }
      if (least === index) return;
      this.#swap(index, least);
      index = least;
    }
  }

  #swap(a: number, b: number): void {
    const entry = this.#entries[a]!;
    this.#entries[a] = this.#entries[b]!;
    this.#entries[b] = entry;
  }
}
