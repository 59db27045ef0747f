import type { Clock } from "../runtime/clock.ts";
import type { Log } from "../runtime/log.ts";
import type { ServiceManager } from "./service_manager.ts";
import type { Step } from "../runtime/long_work.ts";

const EVERY_MS = 5_000;
/** How long the service manager may hear nothing before it doubts that the start goes on. */
const PATIENCE_MS = 120_000;

/**
 * Tells the log and the service manager every few seconds how far an upgrade of the database is, also
 * while SQLite is at one statement for long; from the first step on until it is ended.
 */
export function upgradeReport(
  { clock, log, manager }: {
    readonly clock: Clock;
    readonly log: Log;
    readonly manager: ServiceManager;
  },
): { readonly onStep: (step: Step) => void; readonly end: () => void } {
  let latest: Step | undefined;
  let cancelTimer = () => {};
  function tellManager(step: Step) {
    manager.working(`upgrading the database: ${step.doing}`, PATIENCE_MS);
  }
  function goOn(step: Step) {
    tellManager(step);
    cancelTimer = clock.after(EVERY_MS, () => {
      log.upgradeGoesOn(latest!);
      goOn(latest!);
    });
  }
  return {
    onStep(step) {
      const isFirst = latest === undefined;
      latest = step;
      if (isFirst) goOn(step);
    },
    end: () => cancelTimer(),
  };
}
