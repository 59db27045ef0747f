import type * as z from "zod";
import { defined, instants } from "../deliveries.ts";
import { deliveriesQuery } from "../schemas.ts";
import { inUtc } from "./form_instants.ts";

/** The API's filter, as a form sends it: what is empty is not asked for. */
export type Filter = z.output<typeof deliveriesQuery>;

/** What the address asks for, without what is empty, and with instants as forms write them. */
export function askedFor(query: Readonly<Record<string, string>>): Record<string, string> {
  const known = new Set(Object.keys(deliveriesQuery.shape));
  return Object.fromEntries(
    Object.entries(query)
      .map(([name, value]) => [name, value.trim()] as const)
      .filter(([name, value]) => known.has(name) && value !== "")
      .map(([name, value]) => [name, name === "since" || name === "until" ? inUtc(value) : value]),
  );
}

export function readerFilter({ event, since, until, ...filter }: Filter) {
  return {
    ...defined(filter),
    limit: filter.limit,
    ...(event === undefined ? {} : { eventId: event }),
    ...instants({ since, until }),
  };
}
