import type { FailureKind, Outcome, Response } from "../domain/attempt.ts";

/** Why no complete answer came, on its way from where it was noticed to the outcome. */
export class Failure extends Error {
  override readonly name = "Failure";

  constructor(
    readonly kind: FailureKind,
    message: string,
    /** The address that was being talked to. */
    readonly remoteAddress?: string,
  ) {
    super(message);
  }

  /** With what had come of an answer, if its head was complete. */
  outcome(response?: Response): Outcome {
    return {
      kind: "failed",
      error: { kind: this.kind, message: this.message },
      ...(response !== undefined && { response }),
      ...(this.remoteAddress !== undefined && { remoteAddress: this.remoteAddress }),
    };
  }
}
