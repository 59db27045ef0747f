/** How much of a piece of work is done. */
export interface Progress {
  readonly done: number;
  readonly total: number;
}

/** What long work is doing, and how much of that is done; nothing is said of what can't be known. */
export interface Step extends Partial<Progress> {
  readonly doing: "copying" | "checking" | "changing" | "indexing";
}

/** Long work: who is told how far it is, and what ends it before it is done. */
export interface Working {
  readonly onProgress?: ((step: Step) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Thrown where work was given up because somebody asked for that. */
export class Interrupted extends Error {
  override readonly name = "Interrupted";

  constructor() {
    super("interrupted before it was done; nothing was changed");
  }
}
