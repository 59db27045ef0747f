/** A request that a receiver got. */
export interface Arrival {
  readonly subscription: string;
  readonly event: string;
  /** The run of the daemon that sent it. */
  readonly generation: number;
  /** The run of the receiver that got it. */
  readonly incarnation: number;
  readonly status: number;
}

/** Reads the receivers' files. An incomplete last line is ignored: the receiver was killed then. */
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
