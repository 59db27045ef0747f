import type { Actor } from "../domain/actor.ts";
import type { Steered } from "../domain/delivery.ts";
import type { JsonText } from "../domain/json_text.ts";
import type { Tested } from "../ingest/ingest.ts";
import type { ReplayFilter } from "../outbox/outbox.ts";
import { ProblemError } from "./problem.ts";
import { unavailable } from "./publish.ts";

/** What an operator can set going; the daemon puts the parts that do it behind this. */
export interface Operations {
  /** A pending delivery at once, a finished one again. */
  retry(deliveryId: string, by: Actor): Promise<Steered>;
  cancel(deliveryId: string, by: Actor): Promise<Steered>;
  /** False where the config has no such subscription. */
  pause(subscriptionId: string, by: Actor): Promise<boolean>;
  resume(subscriptionId: string, by: Actor): Promise<boolean>;
  /** Undefined where the config has no such subscription. */
  test(
    subscriptionId: string,
    request: { readonly type?: string; readonly data?: JsonText; readonly by: Actor },
  ): Promise<Tested | undefined>;
  /** The replay's id. */
  startReplay(filter: ReplayFilter, by: Actor): Promise<string>;
  /** Ends a replay that is under way; false where there is no such one. */
  stopReplay(id: string, by: Actor): Promise<boolean>;
}

/** What an operator is told whose test the subscription's profile does not take. */
export function refusedTest(why: string) {
  return {
    status: 422,
    title: "No test was sent",
    detail: `the subscription's profile holds it back: ${why}`,
  } as const;
}

/**
 * The same operations; those that store deliveries reject with a ProblemError (503) while no events
 * are taken either.
 */
export function whileOpen(
  ports: { readonly operations: Operations; readonly closedBecause: () => string | undefined },
): Operations {
  const open = () => {
    const closed = ports.closedBecause();
    if (closed !== undefined) throw new ProblemError(unavailable(closed));
    return ports.operations;
  };
  return {
    ...ports.operations,
    retry: async (id, by) => await open().retry(id, by),
    test: async (id, request) => await open().test(id, request),
    startReplay: async (filter, by) => await open().startReplay(filter, by),
  };
}
