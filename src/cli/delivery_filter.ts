import { type Command, Option } from "commander";
import type { Clock } from "../runtime/clock.ts";
import type { Query } from "./api_client.ts";
import { givenId } from "./given_id.ts";
import { instantOrAgo } from "./when.ts";

/** Options by which a command is told which deliveries it is about. */
export interface DeliveryFilter {
  readonly state?: string;
  readonly subscription?: string;
  readonly type?: string;
  readonly since?: string;
  readonly until?: string;
}

/** Adds the options of a DeliveryFilter. */
export function addFilterOptions(
  command: Command,
  { states, preset, clock }: { states: readonly string[]; preset: string; clock: Clock },
): Command {
  const instant = instantOrAgo(clock);
  return command
    .option("--subscription <id>", "those of this subscription", givenId)
    .addOption(
      new Option("--state <state>", `those in this state (default: ${preset})`).choices(states),
    )
    .option("--type <type>", "those of exactly this event type")
    .addOption(
      new Option("--since <time>", 'those created since: "2h" ago, or RFC 3339').argParser(instant),
    )
    .addOption(new Option("--until <time>", "those created before").argParser(instant));
}

/** The filter as a query of the API. */
export function queryOf({ state, subscription, type, since, until }: DeliveryFilter): Query {
  return { state, subscription, type, since, until };
}

/** Whether a filter says anything at all. */
export function isGiven(filter: DeliveryFilter): boolean {
  return Object.values(queryOf(filter)).some((value) => value !== undefined);
}

/** `37 deliveries`. */
export function deliveriesCounted(count: number): string {
  return `${count} ${count === 1 ? "delivery" : "deliveries"}`;
}
