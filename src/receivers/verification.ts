import type { Instant } from "../domain/instant.ts";
import type { JsonText } from "../domain/json_text.ts";

/** A request as a receiver gets it, before anything is believed of it. */
export interface ReceivedRequest {
  readonly headers: Headers;
  readonly rawBody: Uint8Array;
  readonly receivedAt: Instant;
}

/** What a platform's recipe says of a request; a problem never shows a secret. */
export type Verification =
  | {
    readonly ok: true;
    /** The name the body gives the event. */
    readonly event: string;
    /** False where the request carried no signature, and its format asks for none. */
    readonly signed: boolean;
  }
  | (Problem & {
    readonly ok: false;
    /** Left out where the body doesn't say. */
    readonly event?: string;
  });

/** What is wrong: the signature (answer 401), or the shape of the request (answer 400). */
export interface Problem {
  readonly kind: "signature" | "form";
  /** What was found, then what was expected. */
  readonly problem: string;
}

/** A request whose body is a JSON object, and the secret to check it with. */
export interface Opened extends ReceivedRequest {
  /** The body as text. */
  readonly text: string;
  /** The body's members in their order. */
  readonly members: readonly (readonly [name: string, value: JsonText])[];
  readonly secret: string | undefined;
}

export function formProblem(problem: string): Problem {
  return { kind: "form", problem };
}

export function signatureProblem(problem: string): Problem {
  return { kind: "signature", problem };
}

/** A found value as a problem shows it: quoted, and cut where it is long. */
export function quoted(value: string | null | undefined): string {
  if (value === null || value === undefined) return "missing";
  return JSON.stringify(value.length > 80 ? `${value.slice(0, 79)}…` : value);
}
