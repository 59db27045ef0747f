import type { Instant } from "../domain/instant.ts";
import type { JsonText } from "../domain/json_text.ts";

/** A request as a receiver gets it, not yet verified. */
export interface ReceivedRequest {
  readonly headers: Headers;
  readonly rawBody: Uint8Array;
  readonly receivedAt: Instant;
}

/** The result of verifying a request. A problem never contains a secret. */
export type Verification =
  | {
    readonly ok: true;
    /** The event's name in the body. */
    readonly event: string;
    /** False if the request has no signature and its format requires none. */
    readonly signed: boolean;
  }
  | (RequestProblem & {
    readonly ok: false;
    /** Undefined if the body doesn't contain it. */
    readonly event?: string;
  });

/** What is wrong: the signature (answer 401), or the shape of the request (answer 400). */
export interface RequestProblem {
  readonly kind: "signature" | "form";
  /** What was found, then what was expected. */
  readonly problem: string;
}

/** A request whose body is a JSON object, and the secret to check it with. */
export interface ParsedRequest extends ReceivedRequest {
  /** The body as text. */
  readonly text: string;
  /** The body's members in their order. */
  readonly members: readonly (readonly [name: string, value: JsonText])[];
  readonly secret: string | undefined;
}

export function formProblem(problem: string): RequestProblem {
  return { kind: "form", problem };
}

export function signatureProblem(problem: string): RequestProblem {
  return { kind: "signature", problem };
}

/** A value for a problem: quoted, and truncated if long. */
export function quoted(value: string | null | undefined): string {
  if (value === null || value === undefined) return "missing";
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value);
}
