import zlib from "node:zlib";
import { MAX_RESPONSE_BYTES, type Response } from "../domain/attempt.ts";
import { KeptBytes } from "./kept_bytes.ts";

/** So much comes out at once: a few bytes can stand for gigabytes. */
const PIECE_BYTES = 16 * 1024;

/**
 * An answer with its body unpacked, as far as 64 KiB of it: we ask for no compression, but some
 * receivers compress all the same. What can't be unpacked stays as it came, and says so by `packing`.
 */
export async function unpack(response: Response): Promise<Response> {
  const { packing, body, truncated, ...rest } = response;
  if (packing === undefined || packing === "identity" || body.length === 0) {
    return { ...rest, body, truncated };
  }
  for (const unpacker of UNPACKERS[packing] ?? []) {
    const out = await beginningOf(unpacker(), body);
    if (out !== undefined) {
      return { ...rest, body: out.body, truncated: truncated || out.truncated };
    }
  }
  return response;
}

// Bodies end where they are cut off: what came until then is unpacked all the same.
const cut = { chunkSize: PIECE_BYTES, finishFlush: zlib.constants.Z_SYNC_FLUSH };
const gzip = () => zlib.createGunzip(cut);
const brotli = () =>
  zlib.createBrotliDecompress({
    chunkSize: PIECE_BYTES,
    finishFlush: zlib.constants.BROTLI_OPERATION_FLUSH,
  });

/** By their names in HTTP (RFC 9110, section 8.4.1). Some say "deflate" and leave its wrapping out. */
const UNPACKERS: Readonly<Record<string, readonly (() => Unpacker)[]>> = {
  __proto__: null,
  "gzip": [gzip],
  "x-gzip": [gzip],
  "deflate": [() => zlib.createInflate(cut), () => zlib.createInflateRaw(cut)],
  "br": [brotli],
} as never;

type Unpacker = zlib.Gunzip | zlib.Inflate | zlib.BrotliDecompress;

/** Undefined where it is no such data. */
async function beginningOf(
  unpacker: Unpacker,
  packed: Uint8Array,
): Promise<{ body: Uint8Array; truncated: boolean } | undefined> {
  const kept = new KeptBytes(MAX_RESPONSE_BYTES);
  try {
    unpacker.end(packed);
    for await (const piece of unpacker) {
      if (!kept.add(piece)) return { body: kept.bytes(), truncated: true };
    }
    return { body: kept.bytes(), truncated: false };
  } catch {
    return undefined;
  } finally {
    unpacker.destroy();
  }
}
