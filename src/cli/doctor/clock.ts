import type { Clock } from "../../runtime/clock.ts";
import type { Finding } from "./finding.ts";

/** How long the two clocks are held against each other, and how far they may get apart meanwhile. */
const WATCHED_MS = 250;
const TOLERANCE_MS = 50;

/** Whether the wall clock goes as the monotonic one, and whether anything sets it right. */
export async function examineClock(clock: Clock): Promise<Finding[]> {
  return [await examinePace(clock), judgeSync(await askTimedatectl())];
}

async function examinePace(clock: Clock): Promise<Finding> {
  const offset = () => clock.wall() - clock.monotonicMs();
  const before = offset();
  await new Promise<void>((resolve) => clock.after(WATCHED_MS, resolve));
  return judgePace(offset() - before);
}

/** What a step of the wall clock, in so many milliseconds of watching, means. */
export function judgePace(stepMs: number): Finding {
  const check = "clock";
  if (Math.abs(stepMs) <= TOLERANCE_MS) {
    return { check, state: "ok", message: "the wall clock goes evenly" };
  }
  return {
    check,
    state: "warn",
    message: `the wall clock moved ${Math.round(stepMs)} ms against the monotonic one in ` +
      `${WATCHED_MS} ms`,
    fix:
      "look what sets it: attempts keep their waits, but timestamps and signatures need the time",
  };
}

/** What `timedatectl show --property NTPSynchronized` said; undefined where it is not to be had. */
export function judgeSync(said: string | undefined): Finding {
  const check = "time sync";
  if (said === "yes") return { check, state: "ok", message: "the clock is synchronised" };
  if (said === undefined) {
    const message = "not known: timedatectl can't be asked here";
    return { check, state: "ok", message };
  }
  return {
    check,
    state: "warn",
    message: "the clock is not synchronised: receivers refuse signatures whose time is off",
    fix: "timedatectl set-ntp true, or run chrony",
  };
}

async function askTimedatectl(): Promise<string | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("timedatectl", {
      args: ["show", "--property=NTPSynchronized", "--value"],
      stdin: "null",
      stderr: "null",
    }).output();
    return success ? new TextDecoder().decode(stdout).trim() : undefined;
  } catch {
    return undefined;
  }
}
