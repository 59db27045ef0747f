import { Buffer } from "node:buffer";

/** Bytes as text, one character each. Of ASCII that is what it says, in a third of a decoder's time. */
export function latin1(
  { buffer, byteOffset, length }: Uint8Array,
  from = 0,
  to = length,
): string {
  return Buffer.from(buffer as ArrayBuffer, byteOffset + from, to - from).toString("latin1");
}
