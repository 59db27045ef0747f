import type { Config, Problem } from "./config/config.ts";
import { diffConfigs, formatDiff, type Replacement } from "./config/diff.ts";
import { isLocal } from "./config/listen.ts";
import { formatProblem, type Loaded } from "./config/load.ts";
import { formatOf } from "./profiles/render.ts";
import type { ReloadReport } from "./http/reload.ts";
import type { HistoryEntry, Outbox } from "./outbox/outbox.ts";
import { type Actor, actorName, credit } from "./domain/actor.ts";
import type { Instant } from "./domain/instant.ts";
import type { Log } from "./runtime/log.ts";
import type { Clock } from "./runtime/clock.ts";
import { Turn } from "./runtime/turn.ts";
import type { Telling } from "./sending.ts";

/** How many changes, or problems, a log line, a history entry or a notice lists. */
const LISTED = 10;
/** How many problems a request is told of. */
const TOLD = 1_000;

/** Who asks for a reload, and whether it is only to say what it would do. */
export interface ReloadRequest {
  readonly dryRun?: boolean;
  readonly by?: Actor;
}

/** What reloading asks of the rest of the daemon. */
export interface ReloadingPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly config: () => Config;
  /** Reads the config file; undefined where the daemon has none. */
  readonly load: ((turn: Turn) => Promise<Loaded>) | undefined;
  /** Deliveries that wait, by subscription. */
  readonly pending: () => Promise<ReadonlyMap<string, number>>;
  readonly now: () => Instant;
  /**
   * Swaps the config, in one turn; resolves when all that goes by it has followed. `replacement` is
   * what is in place of the subscriptions before.
   */
  readonly apply: (config: Config, replacement: Replacement) => Promise<void>;
  readonly remember: Outbox["remember"];
  readonly telling: Telling;
  /** Counts a file that was rejected. */
  readonly onRejected: () => void;
}

/** Reads the config file again, compares it with what is in force, and applies it. */
export class Reloading {
  readonly #ports: ReloadingPorts;
  #underWay: Promise<unknown> = Promise.resolve();
  /** Those that have not begun to read the file yet, by whether they are dry runs. */
  readonly #waiting = new Map<boolean, { by: Actor[]; report: Promise<ReloadReport> }>();
  #rejectedBefore: string | undefined;

  constructor(ports: ReloadingPorts) {
    this.#ports = ports;
  }

  /**
   * One after the other: each compares with what the one before has applied. Whoever asks while
   * another waits shares that one, since it will read the file as it is by then.
   */
  reload({ dryRun = false, by = "signal" }: ReloadRequest = {}): Promise<ReloadReport> {
    const waiting = this.#waiting.get(dryRun);
    if (waiting) {
      waiting.by.push(by);
      return waiting.report;
    }
    const asking = [by];
    const report = this.#underWay.then(() => {
      this.#waiting.delete(dryRun);
      return this.#reloadNow({ dryRun, by: distinct(asking) });
    });
    this.#waiting.set(dryRun, { by: asking, report });
    this.#underWay = report.catch(() => {});
    return report;
  }

  async #reloadNow(
    { dryRun, by }: { readonly dryRun: boolean; readonly by: readonly Actor[] },
  ): Promise<ReloadReport> {
    const { clock, load, config } = this.#ports;
    if (!load) return rejected([{ path: "", message: "this daemon has no config file" }]);
    const turn = new Turn(clock);
    const loaded = await load(turn);
    if (!loaded.ok) {
      if (!dryRun) await this.#reject(loaded.problems.map(formatProblem), by);
      return rejected(
        loaded.problems.map((problem) => ({ path: problem.path, message: asSentence(problem) })),
      );
    }
    if (!loaded.config.auth && !isLocal(config().server.listen)) {
      const message = 'is missing, and others than this machine can call until "server.listen" ' +
        "changes, which takes a restart: restart with the file as it is, or leave the tokens in it";
      if (!dryRun) await this.#reject([`auth: ${message}`], by);
      return rejected([{ path: "auth", message }]);
    }
    const pending = await this.#ports.pending();
    const { diff, replacement } = await diffConfigs(config(), loaded.config, turn);
    const report: ReloadReport & { kind: "reloaded" } = {
      kind: "reloaded",
      ...diff,
      changes: formatDiff(diff, pending),
      warnings: [
        ...loaded.warnings.map(formatProblem),
        ...stillInOldFormat(replacement, pending),
      ],
    };
    if (!dryRun) await this.#apply({ next: loaded.config, replacement, report, by });
    return report;
  }

  async #apply({ next, replacement, report, by }: {
    readonly next: Config;
    readonly replacement: Replacement;
    readonly report: ReloadReport & { kind: "reloaded" };
    readonly by: readonly Actor[];
  }) {
    const { log, apply, remember } = this.#ports;
    this.#rejectedBefore = undefined;
    await apply(next, replacement);
    const cause = listed(report.changes).join("; ") || "nothing changed";
    log.configReloaded(cause);
    await remember(this.#entries("reloaded", cause, by))
      .catch((error) => log.historyNotKept("reloaded", error));
  }

  async #reject(problems: readonly string[], by: readonly Actor[]) {
    const { log, now, telling, remember, onRejected } = this.#ports;
    const first = listed(problems);
    log.configRejected(first);
    // The same bad file is told once, however often it is tried.
    const words = problems.join("\n");
    if (this.#rejectedBefore === words) return;
    onRejected();
    const entries = this.#entries("rejected", shortened(problems[0] ?? ""), by);
    const notice = {
      at: now(),
      kind: "config.rejected",
      summary: `the config file has ${problems.length} ${
        problems.length === 1 ? "problem" : "problems"
      }; the one before stays in force`,
      problems: first,
      by: by.map(actorName).join(", "),
      command: "bellhook check",
    } as const;
    try {
      await telling(notice, (notices) => remember(entries, notices));
      this.#rejectedBefore = words;
    } catch (error) {
      log.configRejected([`no notice of it can be stored now: ${error}`]);
    }
  }

  /** One for each who asked. */
  #entries(kind: "reloaded" | "rejected", cause: string, by: readonly Actor[]): HistoryEntry[] {
    const at = this.#ports.now();
    return by.map((actor) => ({ at, kind, cause, ...credit(actor) }));
  }
}

/** Deliveries that wait are sent as the profile was when their events came. */
function stillInOldFormat(
  { replaced }: Replacement,
  pending: ReadonlyMap<string, number>,
): string[] {
  return replaced.filter(({ after }) => pending.has(after.id)).flatMap(
    ({ before: then, after: now }) => {
      if (formatOf(then) === formatOf(now)) return [];
      const count = pending.get(now.id)!;
      const deliveries = count === 1
        ? "1 pending delivery keeps"
        : `${count} pending deliveries keep`;
      const profile = then.profile.name === now.profile.name
        ? "the format from before this change"
        : `the body and signature of profile "${then.profile.name}"`;
      return [
        `subscription "${now.id}": ${deliveries} ${profile}; only new events get the new one`,
      ];
    },
  );
}

/** Each who asked, once. */
function distinct(actors: readonly Actor[]): readonly Actor[] {
  return [...new Map(actors.map((actor) => [JSON.stringify(actor), actor])).values()];
}

/** The first of many lines, and how many more there are. */
function listed(lines: readonly string[]): string[] {
  const first = lines.slice(0, LISTED).map(shortened);
  return lines.length > LISTED ? [...first, `and ${lines.length - LISTED} more`] : first;
}

const LONGEST_LINE = 300;

function shortened(line: string): string {
  return line.length > LONGEST_LINE ? `${line.slice(0, LONGEST_LINE)}…` : line;
}

/** Where it is, what is wrong, how to fix it: a config may be many files. */
function asSentence(problem: Problem): string {
  const [where, ...rest] = formatProblem(problem).split("\n");
  return `${where!.split("  ")[0]}: ${rest.map((line) => line.trim()).join("; ")}`;
}

function rejected(problems: (ReloadReport & { kind: "rejected" })["problems"]): ReloadReport {
  const told = problems.slice(0, TOLD);
  const more = problems.length - told.length;
  if (more > 0) told.push({ path: "", message: `and ${more} more; "bellhook check" has them all` });
  return { kind: "rejected", problems: told };
}
