/** What the command line's exit codes mean; scripts rely on them. */
export const EXIT = {
  done: 0,
  failed: 1,
  /** Usage or config. */
  notValid: 2,
  notFound: 3,
  /** The daemon cannot be reached. */
  unreachable: 4,
  notAllowed: 5,
} as const;

/** One of EXIT. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** Ends a command with words for whoever typed it, and an exit code. */
export class CommandError extends Error {
  constructor(readonly exitCode: ExitCode, message: string) {
    super(message);
  }
}

/** A call that may succeed later: the daemon was not there, or answered 429 or 503. */
export class NotNowError extends CommandError {
  constructor(
    exitCode: ExitCode,
    message: string,
    /** What the daemon asked for, if it answered. */
    readonly retryAfterMs?: number,
  ) {
    super(exitCode, message);
  }
}
