import type { OutboxReader } from "../../outbox/reader.ts";
import { deliveriesQuery } from "../schemas.ts";
import { askedFor, readerFilter } from "./delivery_filter.ts";
import { deliveriesPath, deliveryPath, withQuery } from "./paths.ts";
import type { Viewer } from "./viewer.ts";

/** The neighbours of a delivery in a page of a list. */
export interface Place {
  readonly list: string;
  readonly newer?: string;
  readonly older?: string;
}

/** The address of a delivery that knows which list it was opened from. */
export function listedPath(id: string, asked: Readonly<Record<string, string>>): string {
  return withQuery(deliveryPath(id), { list: new URLSearchParams(asked).toString() || "all" });
}

/** Looks a delivery up in the page of the list that it was opened from; that may have moved on. */
export async function placeInList(
  reader: OutboxReader,
  { id, list, viewer }: { id: string; list: string | undefined; viewer: Viewer },
): Promise<Place | undefined> {
  if (list === undefined) return undefined;
  const asked = askedFor(Object.fromEntries(new URLSearchParams(list === "all" ? "" : list)));
  const checked = deliveriesQuery.safeParse(asked);
  if (!checked.success) return undefined;
  const filter = { ...readerFilter(checked.data), hidesData: viewer.hidesPayloads };
  const { items, next } = await reader.deliveries(filter);
  const index = items.findIndex((one) => one.id === id);
  const path = deliveriesPath(asked);
  if (index < 0) return { list: path };
  const newer = items[index - 1], older = items[index + 1];
  const first = older === undefined && next !== undefined
    ? (await reader.deliveries({ ...filter, limit: 1, cursor: next })).items[0]
    : undefined;
  return {
    list: path,
    ...(newer === undefined ? {} : { newer: listedPath(newer.id, asked) }),
    ...(older !== undefined
      ? { older: listedPath(older.id, asked) }
      : first !== undefined && next !== undefined
      ? { older: listedPath(first.id, { ...asked, cursor: next }) }
      : {}),
  };
}

/** Links to the neighbours; nothing where it was opened from no list. */
export function Neighbours({ place }: { place: Place | undefined }) {
  if (!place || (place.newer === undefined && place.older === undefined)) return null;
  return (
    <nav class="neighbours" aria-label="Neighbours in the list">
      {place.newer !== undefined && <a class="button" rel="prev" href={place.newer}>← Newer</a>}
      {place.older !== undefined && <a class="button" rel="next" href={place.older}>Older →</a>}
    </nav>
  );
}
