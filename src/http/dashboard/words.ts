import type { Delivery } from "../../domain/delivery.ts";
import { formatInstant, type Instant } from "../../domain/instant.ts";
import type { Condition, Health } from "../../domain/health.ts";

/** How things are told on the pages. */

/** `12 s ago`, `in 5 min`; the day where it is long past. */
export function relative(at: Instant, now: Instant): string {
  const seconds = Math.abs(at - now) / 1_000;
  if (seconds < 1) return "now";
  if (seconds > 60 * DAY) return formatInstant(at).slice(0, 10);
  const [count, unit] = seconds < 60
    ? [seconds, "s"]
    : seconds < HOUR
    ? [seconds / 60, "min"]
    : seconds < 2 * DAY
    ? [seconds / HOUR, "h"]
    : [seconds / DAY, "d"];
  const text = `${Math.floor(count)} ${unit}`;
  return at > now ? `in ${text}` : `${text} ago`;
}

const HOUR = 3_600, DAY = 24 * HOUR;

/** `850 ms`, `2.5 s`, `1 h 5 min`. */
export function length(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1_000;
  if (seconds < 60) return `${Number(seconds.toFixed(1))} s`;
  const parts: [number, string][] = [
    [Math.floor(seconds / DAY), "d"],
    [Math.floor(seconds % DAY / HOUR), "h"],
    [Math.floor(seconds % HOUR / 60), "min"],
    [Math.floor(seconds % 60), "s"],
  ];
  return parts.filter(([count]) => count > 0).slice(0, 2)
    .map(([count, unit]) => `${count} ${unit}`).join(" ");
}

/** `1,234,567`. */
export function count(value: number): string {
  return value.toLocaleString("en");
}

/** `1 delivery`, `2 deliveries`. */
export function counted(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** `98.3 %`; undefined of nothing. */
export function percent(part: number, whole: number): string | undefined {
  if (whole === 0) return undefined;
  const share = 100 * part / whole;
  // Neither all nor nothing is claimed where it is not so.
  if (share > 99.9 && part < whole) return "> 99.9 %";
  if (share < 0.1 && part > 0) return "< 0.1 %";
  return `${Number(share.toFixed(1))} %`;
}

/** `345 B`, `12.3 KiB`. */
export function bytes(size: number): string {
  return size < 1024 ? `${size} B` : `${(size / 1024).toFixed(1)} KiB`;
}

/** What a delivery is called on the pages: of what is pending, why it is so. */
export type ShownState =
  | "delivered"
  | "exhausted"
  | "cancelled"
  | "held"
  | "retrying"
  | "pending";

export function shownState(delivery: Delivery, isHeld: (id: string) => boolean): ShownState {
  if (delivery.state !== "pending") return delivery.state;
  if (isHeld(delivery.subscription) && delivery.cause !== "test") return "held";
  return delivery.attemptCount > 0 ? "retrying" : "pending";
}

/** Why a subscription's deliveries wait; undefined where they don't. */
export function heldBecause(
  { state, health }: { state: Condition | "removed"; health: Health },
): string | undefined {
  switch (state) {
    case "removed":
      return "the subscription is no longer in the config";
    case "disabled":
      return 'the subscription is disabled: the config says "enabled": false';
    case "paused":
      return `the subscription is paused: ${health.pausedReason ?? "an operator did it"}`;
    default:
      return undefined;
  }
}

/**
 * A text that others wrote, with what can't be seen, or turns the text around, spelled out. Line
 * ends and tabs stay.
 */
export function visible(text: string): string {
  return text.replace(INVISIBLE, (character) => {
    const code = character.charCodeAt(0).toString(16).padStart(4, "0");
    return character === "\r" ? "" : `\\u${code}`;
  });
}

const INVISIBLE =
  // deno-lint-ignore no-control-regex
  /[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/g;
