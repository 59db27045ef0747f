import { Chance } from "../simulation/chance.ts";
import type { Step } from "../disk/watched_disk.ts";
import { CachedDisk } from "./disk_image.ts";
import { examine, serveOn, writeImage } from "./examination.ts";

/** The result of simulated power failures. */
export interface Failures {
  readonly images: number;
  /** Images that had to contain accepted events. */
  readonly withEvents: number;
  /** Images on which a real daemon was started. */
  readonly served: number;
  readonly faults: readonly string[];
}

/**
 * Cuts the power at so many moments of a recording, and holds what each leaves against what had been
 * answered by then. Every `serveEvery`-th image gets a real daemon as well.
 */
export async function failPower(
  steps: readonly Step[],
  { images, seed, serveEvery = Infinity, liesAboutSyncs = false }: {
    readonly images: number;
    readonly seed: number;
    readonly serveEvery?: number;
    readonly liesAboutSyncs?: boolean;
  },
): Promise<Failures> {
  const chance = new Chance(seed);
  const moments = Array.from({ length: images }, () => chance.whole(0, steps.length))
    .sort((a, b) => a - b);
  const disk = new CachedDisk({ liesAboutSyncs });
  const accepted: string[] = [];
  const faults: string[] = [];
  let withEvents = 0, served = 0, at = 0;
  for (const [index, moment] of moments.entries()) {
    for (; at < moment; at++) {
      const step = steps[at]!;
      if (step.kind === "accepted") accepted.push(...step.events);
      else disk.apply(step);
    }
    const folder = await Deno.makeTempDir();
    try {
      const path = await writeImage(folder, disk.fail(chance));
      const found = await examine(path, accepted);
      if (index % serveEvery === serveEvery - 1) {
        found.push(...await serveOn(folder, accepted));
        served++;
      }
      faults.push(...found.map((sentence) => `after step ${moment}: ${sentence}`));
      if (accepted.length > 0) withEvents++;
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  }
  return { images, withEvents, served, faults };
}
