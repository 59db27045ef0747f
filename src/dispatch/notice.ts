import type { Outcome } from "../domain/attempt.ts";
import type { Instant } from "../domain/instant.ts";
import type { NoticeKind } from "../domain/notice.ts";
import type { ExhaustedDigest } from "../outbox/outbox.ts";

/** What a notice says; JSON with these names goes to every kind of channel. */
export interface Notice {
  readonly kind: NoticeKind;
  readonly at: Instant;
  /** One sentence. */
  readonly summary: string;
  readonly subscription?: string;
  readonly url?: string;
  /** Since when it has been so. */
  readonly since?: Instant;
  readonly delivery?: { readonly id: string; readonly type: string; readonly attempts: number };
  readonly lastOutcome?: Outcome;
  /** When the next attempt of anything for this subscription is due. */
  readonly nextAttemptAt?: Instant;
  /** Of a digest: what was exhausted since. */
  readonly exhausted?: Pick<ExhaustedDigest, "deliveries" | "subscriptions" | "most">;
  /** What is wrong with a config that was rejected. */
  readonly problems?: readonly string[];
  /** The operator who did it. */
  readonly by?: string;
  /** The command that helps. */
  readonly command: string;
}
