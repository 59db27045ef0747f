import type { Headers } from "../../domain/attempt.ts";
import { type JsonText, membersOf } from "../../domain/json_text.ts";
import type { Scope } from "../../domain/event.ts";

/** What a column holds of a text that others wrote. */
export type Bytes = Uint8Array<ArrayBuffer>;

const encoder = new TextEncoder(), decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** A text as a BLOB: SQLite reads a TEXT back cut at its first NUL. */
export function toBytes(text: string): Bytes {
  return encoder.encode(text);
}

export function toText(bytes: Bytes): string {
  return decoder.decode(bytes);
}

/** The null of SQL for what is not there. */
export function toNullableBytes(text: string | undefined): Bytes | null {
  return text === undefined ? null : toBytes(text);
}

export function scopeToBytes(scope: Scope): Bytes | null {
  if (scope.size === 0) return null;
  const members = [...scope].map(([name, value]) => `${JSON.stringify(name)}:${value}`);
  return toBytes(`{${members.join(",")}}`);
}

export function bytesToScope(bytes: Bytes | null): Scope {
  return bytes === null ? NO_SCOPE : new Map<string, JsonText>(membersOf(toText(bytes)));
}

const NO_SCOPE: Scope = new Map();

export function headersToBytes(headers: Headers): Bytes {
  return toBytes(JSON.stringify(headers));
}

export function bytesToHeaders(bytes: Bytes): Headers {
  return JSON.parse(toText(bytes));
}
