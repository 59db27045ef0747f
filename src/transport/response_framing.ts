import type { Headers } from "../domain/attempt.ts";

/** What a response's headers say of its end and of the connection's. */
export interface Framing {
  /** `Content-Length`. */
  readonly length: number | undefined;
  /** Whether any `Transfer-Encoding` is there. */
  readonly hasCoding: boolean;
  readonly chunked: boolean;
  /** `Connection: close` */
  readonly closes: boolean;
  /** `Connection: keep-alive` */
  readonly staysOpen: boolean;
  /** `Keep-Alive: timeout=` */
  readonly keptForMs: number | undefined;
  /** `Content-Encoding`, in lower case. */
  readonly packing: string | undefined;
}

/** Reads how a response is framed; a text says why it can't be told. */
export function framingOf(headers: Headers): Framing | string {
  let length: number | undefined;
  let codings: string | undefined;
  let connection = "";
  let keptForMs: number | undefined;
  let packing: string | undefined;
  for (const [name, value] of headers) {
    // By their length first: most headers are others.
    switch (name.length) {
      case 10: {
        const lower = name.toLowerCase();
        if (lower === "connection") connection += `,${value}`;
        else if (lower === "keep-alive") keptForMs = keptForMsOf(value);
        break;
      }
      case 14: {
        if (name.toLowerCase() !== "content-length") break;
        if (length !== undefined) return "it has more than one Content-Length";
        length = lengthOf(value);
        if (length === undefined) return "its Content-Length is no number";
        break;
      }
      case 16: {
        if (name.toLowerCase() !== "content-encoding") break;
        packing = packing === undefined ? value : `${packing},${value}`;
        break;
      }
      case 17: {
        if (name.toLowerCase() !== "transfer-encoding") break;
        codings = codings === undefined ? value : `${codings},${value}`;
        break;
      }
    }
  }
  const options = connection === "" ? [] : tokensOf(connection);
  const framing = {
    length,
    closes: options.includes("close"),
    staysOpen: options.includes("keep-alive"),
    keptForMs,
    packing: packing?.trim().toLowerCase(),
  };
  if (codings === undefined) return { ...framing, hasCoding: false, chunked: false };
  if (length !== undefined) return "it has both Content-Length and Transfer-Encoding";
  const chunked = isChunked(codings);
  if (chunked === undefined) return "its Transfer-Encoding can't be read";
  return { ...framing, hasCoding: true, chunked };
}

/** Undefined where some might find chunks and others not. */
function isChunked(codings: string): boolean | undefined {
  if (codings.includes("\t")) return undefined;
  const tokens = tokensOf(codings);
  const at = tokens.findIndex((token) => token.includes("chunked"));
  if (tokens.includes("")) return undefined;
  if (at < 0) return false;
  return at === tokens.length - 1 && tokens[at] === "chunked" ? true : undefined;
}

function tokensOf(list: string): string[] {
  // Not trim(), which takes a no-break space for a space.
  return list.split(",").map((token) => token.replace(/^[ \t]+|[ \t]+$/g, "").toLowerCase());
}

/** Digits alone, in 64 bits; beyond 2^53 near enough, since so much never comes. */
function lengthOf(value: string): number | undefined {
  if (!/^\d+$/.test(value)) return undefined;
  const digits = value.replace(/^0+(?=\d)/, "");
  const fits = digits.length < MOST.length || (digits.length === MOST.length && digits <= MOST);
  return fits ? Number(digits) : undefined;
}

const MOST = "18446744073709551615";

function keptForMsOf(value: string): number | undefined {
  const seconds = /(?:^|[,;\s])timeout=(\d{1,6})(?![^,;\s])/i.exec(value)?.[1];
  return seconds === undefined ? undefined : Number(seconds) * 1_000;
}
