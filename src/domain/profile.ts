import type { StatusRanges } from "./attempt.ts";
import type { JsonText } from "./json_text.ts";
import type { Ladder } from "./ladder.ts";
import type { Pattern } from "./pattern.ts";

/**
 * Everything that makes an outgoing webhook look like one platform's, as data: the body's shape,
 * the headers, what is signed and how, what counts as success, the deadline and the ladder.
 */
export interface Profile {
  readonly name: string;
  readonly description?: string;
  readonly body: BodyShape;
  /** Headers beside `Content-Type`, the signature and the trio; values are templates. */
  readonly headers: readonly (readonly [name: string, template: string])[];
  readonly signature?: SignatureRule;
  /** What a subscription's secret looks like: Standard Webhooks' `whsec_`/`whsk_`, or any text. */
  readonly secretForm: "standard" | "text" | "either";
  /** Whether a subscription of this profile must have a secret. */
  readonly secretRequired: boolean;
  /** Whether the Standard Webhooks trio goes out as well. */
  readonly standardHeaders: boolean;
  readonly success: StatusRanges;
  /** Resolve, connect, TLS, request and response together. */
  readonly timeoutMs: number;
  readonly ladder: Ladder;
  readonly httpsRequired: boolean;
  /** The receivers' names of all events this profile has. Open where left out. */
  readonly events?: readonly Pattern[];
  readonly admission: readonly AdmissionRule[];
  /** The default of a subscription's `waitForConfirmation`; undefined where it has no such choice. */
  readonly waitForConfirmation?: boolean;
  /** The keys of `settings` a subscription must give. */
  readonly requiredSettings: readonly string[];
  /** Keys of which a subscription's `scope` must name one; empty: it need not. */
  readonly requiredScope: readonly string[];
  /** What an event must have, by the body: without it, it is no delivery. */
  readonly requiredValues: readonly RequiredValue[];
}

/** A part of the event that the body can't do without. */
export interface RequiredValue {
  readonly source: "metadata" | `scope.${string}`;
  /** The values that it may have, canonically spelled; undefined: any but null. */
  readonly oneOf?: readonly string[];
}

/** The members of the body in their order. */
export type BodyShape = readonly (readonly [name: string, value: BodyValue])[];

export type BodyValue =
  | {
    readonly kind: "from";
    readonly source: BodySource;
    /** How a timestamp is written: ISO 8601 text in UTC, or a number. */
    readonly as: "iso" | "unixMs" | "unixSeconds";
    /** What stands there when the event has no such thing; "refuse": then there is no delivery. */
    readonly whenMissing: "null" | "omit" | "refuse";
    /** The values that the event's scope may have here, canonically spelled; undefined: any. */
    readonly oneOf?: readonly string[];
    /** Written as null where the event's scope holds one of these values. */
    readonly nullWhenScope?: { readonly name: string; readonly values: readonly string[] };
  }
  | { readonly kind: "constant"; readonly value: JsonText }
  | { readonly kind: "object"; readonly members: BodyShape };

/** Where a value of the body comes from; `type` is the receiver's name of it. */
export type BodySource =
  | "id"
  | "type"
  | "timestamp"
  | "data"
  | "metadata"
  | `scope.${string}`
  | `settings.${string}`;

/**
 * A signature header. Templates know `{id}` (webhook-id), `{timestamp}` (Unix seconds of the attempt),
 * `{uuid}` (of event and subscription) and `{type}` (the receiver's name of it); `over` also `{body}`,
 * `{body:encode64}` (Ruby's Base64.encode64) and `{body:reserialised}` (JSON.stringify(JSON.parse(body)));
 * `value` also `{signature}`.
 */
export interface SignatureRule {
  readonly header: string;
  readonly algorithm: "sha1" | "sha256" | "sha384" | "sha512";
  readonly encoding: "hex" | "base64";
  /** What is signed. */
  readonly over: string;
  /** The header's value. */
  readonly value: string;
  /**
   * Divides the signatures of several live secrets, which stand for `{signature}` together; without
   * it only the current one signs.
   */
  readonly separator?: string;
}

/** A rule of the platform that keeps an event from a subscription, told by `match` when it does. */
export type AdmissionRule =
  /** The part of the receiver's event name before `:` or `|` must be among `permissions`. */
  | { readonly kind: "permission" }
  /** Where the scope holds `when`, it must hold `require` as well; values are canonical scalars. */
  | {
    readonly kind: "scope";
    readonly when: { readonly name: string; readonly values: readonly string[] };
    readonly require: { readonly name: string; readonly values: readonly string[] };
  };
