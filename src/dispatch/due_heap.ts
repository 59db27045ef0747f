import type { Instant } from "../domain/instant.ts";

interface Entry<Item> {
  readonly at: Instant;
  readonly item: Item;
}

/** Items by the instant they are due at, the earliest on top: a binary heap, each item in it once. */
export class DueHeap<Item> {
  readonly #entries: Entry<Item>[] = [];
  readonly #places = new Map<Item, number>();

  get size(): number {
    return this.#entries.length;
  }

  /** When the top is due; undefined where there is none. */
  get nextAt(): Instant | undefined {
    return this.#entries[0]?.at;
  }

  /** Of several instants for one item the earliest counts. */
  push(at: Instant, item: Item): void {
    const known = this.#places.get(item);
    if (known !== undefined && this.#entries[known]!.at <= at) return;
    this.#rise(known ?? this.#entries.length, { at, item });
  }

  /** Takes the top where it is due by now. */
  popDue(now: Instant): Item | undefined {
    const top = this.#entries[0];
    if (!top || top.at > now) return undefined;
    this.#places.delete(top.item);
    const last = this.#entries.pop()!;
    if (this.#entries.length > 0) this.#sink(last);
    return top.item;
  }

  clear(): void {
    this.#entries.length = 0;
    this.#places.clear();
  }

  #rise(index: number, entry: Entry<Item>): void {
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (this.#entries[parent]!.at <= entry.at) break;
      this.#put(index, this.#entries[parent]!);
      index = parent;
    }
    this.#put(index, entry);
  }

  /** From the top down. */
  #sink(entry: Entry<Item>): void {
    const entries = this.#entries;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && entries[child + 1]!.at < entries[child]!.at) child++;
      if (entry.at <= entries[child]!.at) break;
      this.#put(index, entries[child]!);
      index = child;
    }
    this.#put(index, entry);
  }

  #put(index: number, entry: Entry<Item>): void {
    this.#entries[index] = entry;
    this.#places.set(entry.item, index);
  }
}
