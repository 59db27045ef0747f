/** Who does something: a name, and from which address where a request brought it. */
export type Actor = string | { readonly name: string; readonly address: string };

export function actorName(actor: Actor): string {
  return typeof actor === "string" ? actor : actor.name;
}

/** How an entry of the history names somebody. */
export function credit(actor: Actor): { readonly by: string; readonly address?: string } {
  return typeof actor === "string" ? { by: actor } : { by: actor.name, address: actor.address };
}
