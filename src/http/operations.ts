import type { Actor } from "../domain/actor.ts";
import type { Steered } from "../domain/delivery.ts";
import type { JsonText } from "../domain/json_text.ts";
import type { Tested } from "../ingest/ingest.ts";
import type { ReplayFilter } from "../outbox/outbox.ts";
import { ProblemError } from "./problem.ts";
import { unavailable } from "./publish.ts";

/** The actions of operators. */
export interface Operations {
  /** Sends a pending delivery at once, or a finished one again. */
  retry(deliveryId: string, by: Actor): Promise<Steered>;
  cancel(deliveryId: string, by: Actor): Promise<Steered>;
  /** Resolves to false if the config has no such subscription. */
  pause(subscriptionId: string, by: Actor): Promise<boolean>;
  resume(subscriptionId: string, by: Actor): Promise<boolean>;
  /** Resolves to undefined if the config has no such subscription. */
  test(
    subscriptionId: string,
    request: { readonly type?: string; readonly data?: JsonText; readonly by: Actor },
  ): Promise<Tested | undefined>;
  /** Resolves to the replay's id. */
  startReplay(filter: ReplayFilter, by: Actor): Promise<string>;
  /** Resolves to false if no such replay is running. */
  stopReplay(id: string, by: Actor): Promise<boolean>;
}

/** The answer if the subscription's profile refuses a test event. */
export function refusedTest(why: string) {
  return {
    status: 422,
    title: "No test was sent",
    detail: `the subscription's profile holds it back: ${why}`,
  } as const;
}

/**
 * Wraps operations: while the daemon accepts no events, those that store deliveries reject with a
 * ProblemError (503).
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
