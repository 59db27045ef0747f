import type { Config } from "../../config/config.ts";
import { commandAbout } from "../../domain/curl.ts";
import { diagnoseResult } from "../../domain/diagnosis.ts";
import { conditionOf, type Health } from "../../domain/health.ts";
import { quoted } from "../../domain/quoted.ts";
import type { Subscription } from "../../domain/subscription.ts";
import { openReader } from "../../outbox/sqlite/reader.ts";
import type { Finding } from "./finding.ts";

/** So many receivers are named; a dead name server takes all of them along. */
const MOST_NAMED = 50;

/**
 * Which receivers don't answer, why and what to do, by the database; nothing where it can't be read. No
 * receiver is asked.
 */
export async function examineAnswers(
  { subscriptions }: Pick<Config, "subscriptions">,
  database: string,
): Promise<Finding[]> {
  const health = await healthIn(database);
  const findings = subscriptions.flatMap((subscription) =>
    judgeAnswers(subscription, health.get(subscription.id)) ?? []
  );
  const more = findings.length - MOST_NAMED;
  if (more <= 0) return findings;
  const message = `and ${more} more receivers don't answer`;
  return [...findings.slice(0, MOST_NAMED), {
    check: "answers",
    state: "warn",
    message,
    fix: "bellhook status",
  }];
}

async function healthIn(database: string): Promise<ReadonlyMap<string, Health>> {
  try {
    const reader = openReader(database);
    try {
      return await reader.health();
    } finally {
      reader.close();
    }
  } catch {
    return new Map(); // what is wrong with it is told elsewhere
  }
}

/** What a receiver's health means; undefined where nothing is wrong with it. */
export function judgeAnswers(
  { id, enabled }: Pick<Subscription, "id" | "enabled">,
  health: Health | undefined,
): Finding | undefined {
  const result = health?.lastResult;
  if (health === undefined || result === undefined) return undefined;
  const condition = conditionOf(health, enabled);
  if (condition !== "failing" && condition !== "not answering") return undefined;
  const diagnosis = diagnoseResult(result);
  const cause = result.error && `${result.error.message}: `;
  const isSplit = cause !== undefined && diagnosis.startsWith(cause);
  const found = isSplit ? result.error!.message : diagnosis;
  return {
    check: "answers",
    state: "warn",
    message: `${quoted(id)} is ${condition}, ${counted(health.consecutiveFailures)} in a row: ` +
      found,
    fix: isSplit ? diagnosis.slice(cause.length) : commandAbout("status", id),
  };
}

function counted(failures: number): string {
  return `${failures} failed ${failures === 1 ? "attempt" : "attempts"}`;
}
