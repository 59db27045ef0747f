/** A request that a receiver got. */
export interface Arrival {
  readonly subscription: string;
  readonly event: string;
  /** Which run of the daemon sent it. */
  readonly generation: number;
  /** Which run of the receiver got it. */
  readonly incarnation: number;
  readonly status: number;
}

/** Reads what receivers noted; a last line without an end is one that was killed while it wrote. */
export async function readArrivals(path: string): Promise<Arrival[]> {
  const lines = (await Deno.readTextFile(path)).split("\n").slice(0, -1);
  return lines.map((line) => {
    const [subscription, event, generation, incarnation, status] = line.split(" ");
    return {
      subscription: subscription!,
      event: event!,
      generation: Number(generation),
      incarnation: Number(incarnation),
      status: Number(status),
    };
  });
}
