import { openFilesLimit, sharesOf } from "../../runtime/descriptors.ts";
import type { Finding } from "./finding.ts";

/** How many files the system lets a process of ours have open: each connection is one. */
export async function examineLimits(totalConcurrency: number | undefined): Promise<Finding[]> {
  const limit = await openFilesLimit();
  return limit === undefined ? [] : [judgeOpenFiles(limit, totalConcurrency ?? 256)];
}

/** With fewer, the daemon runs, and makes everybody wait. */
const FEWEST = 64;

/** What a limit on open files suffices for, and whether that is as many attempts at once as are asked for. */
export function judgeOpenFiles(limit: number, totalConcurrency: number): Finding {
  const check = "open files";
  if (limit === Infinity) return { check, state: "ok", message: "no limit" };
  const { outgoing, incoming } = sharesOf(limit);
  const message = `at most ${limit}: enough for ${outgoing} connections to receivers ` +
    `and ${incoming} from publishers and operators at once`;
  if (limit < FEWEST) {
    return {
      check,
      state: "fail",
      message: `at most ${limit}: the daemon needs ${FEWEST}`,
      fix: FIX,
    };
  }
  if (outgoing >= totalConcurrency) return { check, state: "ok", message };
  return {
    check,
    state: "warn",
    message:
      `${message}; delivery.totalConcurrency is ${totalConcurrency}; attempts beyond the limit wait`,
    fix: FIX,
  };
}

const FIX = "LimitNOFILE=65536 in the systemd unit, or ulimit -n 65536 before it is started";
