import type { JsonText } from "../../domain/json_text.ts";

/** An event as its publisher would post it, so that it comes out as the platform's page prints it. */
export interface Sample {
  readonly type: string;
  /** RFC 3339; left out where the platform's body has no timestamp. */
  readonly timestamp?: string;
  readonly scope?: JsonText;
  readonly data: JsonText;
  readonly metadata?: JsonText;
}
