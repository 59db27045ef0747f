import { diagnose } from "../../domain/diagnosis.ts";
import type { OutboxReader } from "../../outbox/reader.ts";

/** What a subscription began to fail with. */
export interface Failing {
  readonly delivery: string;
  /** In words for people; undefined where the attempt is no longer on record. */
  readonly meaning?: string;
}

/** So many of the latest entries may hold that it began to fail. */
const LOOKED_BACK = 20;

/** Why a subscription is failing; undefined where that is no longer on record. */
export async function whyFailing(reader: OutboxReader, id: string): Promise<Failing | undefined> {
  const { items } = await reader.history({ subscription: id, limit: LOOKED_BACK });
  const delivery = items.find(({ kind }) => kind === "failing")?.delivery;
  if (delivery === undefined) return undefined;
  const attempt = (await reader.attempts(delivery)).at(-1);
  const meaning = attempt && diagnose(attempt.outcome, attempt.result === "success");
  return { delivery, ...(meaning === undefined ? {} : { meaning }) };
}
