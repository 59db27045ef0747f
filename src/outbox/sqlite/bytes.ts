import { isAscii } from "node:buffer";
import { type JsonText, membersOf } from "../../domain/json_text.ts";
import { latin1 } from "../../domain/latin1.ts";
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

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** Short ASCII as a text, for a statement to cast: an array takes longer to hand over than to copy. */
export function toCast(bytes: Uint8Array): string | Uint8Array {
  return bytes.length <= SHORT_BYTES && isAscii(bytes) ? latin1(bytes) : bytes;
}

const SHORT_BYTES = 1024;

/** The null of SQL for what is not there. */
export function toNullableBytes(text: string | undefined): Bytes | null {
  return text === undefined ? null : toBytes(text);
}

export function bytesToScope(bytes: Bytes | null): Scope {
  return scopeFromText(bytes === null ? null : toText(bytes));
}

export function scopeFromText(text: JsonText | null): Scope {
  return text === null ? NO_SCOPE : new Map<string, JsonText>(membersOf(text));
}

const NO_SCOPE: Scope = new Map();
