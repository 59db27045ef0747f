import type { Terminal } from "./terminal.ts";

/** How far a piece of work is; `total` is left out where nobody can know it. */
export interface Advance {
  /** What is being done, as a word: "copying". */
  readonly doing: string;
  readonly done?: number | undefined;
  readonly total?: number | undefined;
  /** What matters more than how fast it goes: "back to 2024-03-15 10:30". */
  readonly note?: string | undefined;
}

/** One line on stderr that says how far long work is, how fast it goes, and how long it will take. */
export interface ProgressBar {
  show(advance: Advance): void;
  /** Takes the line away. */
  end(): void;
}

/** Draws where a person watches: nothing in a pipe, and nothing where `quiet`. */
export function progressBar(terminal: Terminal, { quiet = false } = {}): ProgressBar {
  if (quiet || !terminal.stderrIsTerminal) return { show() {}, end() {} };
  const { clock } = terminal;
  let stage = { doing: "", startedAtMs: 0, startedWith: 0 };
  const beganAtMs = clock.monotonicMs();
  let shownAtMs = -Infinity;
  let isShown = false;
  return {
    show(advance) {
      const nowMs = clock.monotonicMs();
      const { doing, done = 0 } = advance;
      const isNew = doing !== stage.doing;
      if (isNew) stage = { doing, startedAtMs: nowMs, startedWith: done };
      if (nowMs - beganAtMs < SHORT_MS || !isNew && nowMs - shownAtMs < REDRAW_MS) return;
      shownAtMs = nowMs;
      isShown = true;
      const text = progressText(advance, {
        elapsedMs: nowMs - stage.startedAtMs,
        since: done - stage.startedWith,
      });
      terminal.stderr(`\r${text}\x1b[K`);
    },
    end() {
      if (isShown) terminal.stderr("\r\x1b[K");
      isShown = false;
    },
  };
}

/** What is over by then needs no bar. */
const SHORT_MS = 1_000;
const REDRAW_MS = 100;
/** Before then a rate says nothing. */
const FIRST_RATE_MS = 500;
const WIDTH = 20;
/** Beside a note, so that all of it fits into 80 columns. */
const SHORT_WIDTH = 8;

/** `copying [#####---------------]  25%  1.2M of 4.8M  310k/s  12s left` */
export function progressText(
  { doing, done = 0, total, note }: Advance,
  { elapsedMs, since }: { readonly elapsedMs: number; readonly since: number },
): string {
  if (total === undefined || total <= 0) return `${doing} …`;
  const share = Math.min(1, done / total);
  const width = note === undefined ? WIDTH : SHORT_WIDTH;
  const filled = Math.floor(share * width);
  const bar = `[${"#".repeat(filled)}${"-".repeat(width - filled)}]`;
  const percent = `${Math.floor(share * 100)}%`.padStart(4);
  const text = `${doing} ${bar} ${percent}  ${short(done)} of ${short(total)}`;
  const noted = note === undefined ? "" : `  ${note}`;
  if (elapsedMs < FIRST_RATE_MS || since <= 0) return text + noted;
  const perSecond = since / (elapsedMs / 1_000);
  const left = `  ${duration((total - done) / perSecond)} left`;
  return note === undefined ? `${text}  ${short(perSecond)}/s${left}` : text + left + noted;
}

function short(count: number): string {
  for (const [unit, size] of [["G", 1e9], ["M", 1e6], ["k", 1e3]] as const) {
    if (count >= size) return `${(count / size).toFixed(1)}${unit}`;
  }
  return String(Math.round(count));
}

function duration(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole}s`;
  if (whole < 3_600) return `${Math.floor(whole / 60)}m${whole % 60}s`;
  return `${Math.floor(whole / 3_600)}h${Math.floor(whole % 3_600 / 60)}m`;
}
