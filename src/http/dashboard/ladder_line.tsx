import type { Child } from "hono/jsx";
import type { Attempt } from "../../domain/attempt.ts";
import type { Delivery } from "../../domain/delivery.ts";
import type { Instant } from "../../domain/instant.ts";
import type { Ladder } from "../../domain/ladder.ts";
import { When } from "./parts.tsx";
import { length } from "./words.ts";

/** Future attempts beyond these are told in a word. */
const SHOWN_AHEAD = 8;

/** The attempts of a delivery along its ladder: those made, the next one, those that may follow. */
export function LadderLine(
  { delivery, attempts, ladder, now, isHeld }: {
    delivery: Delivery;
    attempts: readonly Attempt[];
    /** As the config has it now; undefined where the subscription is gone. */
    ladder: Ladder | undefined;
    now: Instant;
    isHeld: boolean;
  },
) {
  const ahead = delivery.state === "pending" ? attemptsAhead(delivery, ladder) : [];
  return (
    <ol class="ladder">
      {attempts.map((attempt, index) => (
        <Step
          kind={attempt.result === "success" ? "good" : "bad"}
          title={`Attempt ${attempt.number}`}
          wait={waitBefore(attempts, index)}
        >
          <a href={`#attempt-${attempt.number}`}>{answerOf(attempt)}</a>
          <When at={attempt.startedAt} now={now} />
        </Step>
      ))}
      {ahead.slice(0, SHOWN_AHEAD).map(({ number, at, waitMs }, index) => (
        <Step
          kind={index === 0 ? "next" : "ahead"}
          title={`Attempt ${number}`}
          wait={waitMs === undefined ? undefined : `+ ${length(waitMs)}`}
        >
          {index === 0 && (isHeld ? "held" : "next")}
          <span>
            {index > 0 && "not before "}
            <When at={at} now={now} />
          </span>
        </Step>
      ))}
      {ahead.length > SHOWN_AHEAD && (
        <Step kind="ahead" title="and so on" wait={undefined}>
          {ladder?.forMs === undefined
            ? `${ahead.length - SHOWN_AHEAD} more`
            : `for ${length(ladder.forMs)} at the most`}
        </Step>
      )}
    </ol>
  );
}

function Step(
  { kind, title, wait, children }: {
    kind: "good" | "bad" | "next" | "ahead";
    title: string;
    wait: string | undefined;
    children: Child;
  },
) {
  return (
    <li class={`is-${kind}`}>
      <span class="wait">{wait}</span>
      <strong>{title}</strong>
      {children}
    </li>
  );
}

function waitBefore(attempts: readonly Attempt[], index: number): string | undefined {
  const before = attempts[index - 1];
  if (!before) return undefined;
  const waitMs = attempts[index]!.startedAt - before.startedAt - before.durationMs;
  return `+ ${length(Math.max(0, waitMs))}`;
}

/** What came of an attempt, in a word or two. */
export function answerOf({ outcome, durationMs }: Attempt): string {
  const what = outcome.kind === "answered"
    ? String(outcome.status)
    : [outcome.response?.status, outcome.error.kind].filter(Boolean).join(", ");
  return `${what} · ${length(durationMs)}`;
}

/** The attempts that are still to come if each of them fails, at the earliest. */
function attemptsAhead(
  { attemptCount, dueAt }: Delivery,
  ladder: Ladder | undefined,
): { number: number; at: Instant; waitMs?: number }[] {
  if (dueAt === undefined) return [];
  const ahead: { number: number; at: Instant; waitMs?: number }[] = [
    { number: attemptCount + 1, at: dueAt },
  ];
  if (!ladder) return ahead;
  for (let at = dueAt; ahead.length <= SHOWN_AHEAD;) {
    const waitMs = ladder.waitsMs[attemptCount + ahead.length - 1] ?? ladder.thenEveryMs;
    if (waitMs === undefined) break;
    at += waitMs;
    ahead.push({ number: attemptCount + ahead.length + 1, at, waitMs });
  }
  return ahead;
}
