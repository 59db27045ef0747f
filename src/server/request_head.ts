/** The head of an HTTP/1.1 request (RFC 9112), read so that it can be read in no second way. */

/** How a request's body ends. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" };

export interface RequestHead {
  readonly method: string;
  /** As it stands in the request line; bytes that are not ASCII are percent-encoded. */
  readonly target: string;
  readonly headers: RequestHeaders;
  readonly framing: Framing;
  /** HTTP/1.0 knows no chunked answers. */
  readonly isHttp10: boolean;
  readonly keepsAlive: boolean;
  /** The body comes after a `100 Continue`. */
  readonly awaitsContinue: boolean;
}

/** A request that can't be answered by what it asks for. */
export class BadRequest extends Error {
  constructor(message: string, readonly status: 400 | 405 | 408 | 501 = 400) {
    super(message);
  }
}

const MAX_HEADERS = 100;

const REQUEST_LINE = /^([\w!#$%&'*+.^`|~-]+) ([!"$-~\x80-\xff]+) HTTP\/1\.(\d)$/;
/** No white space before a colon, no line that goes on with the next, no control characters. */
const HEADER_LINES = /^(?:\r\n[\w!#$%&'*+.^`|~-]+:[\t -~\x80-\xff]*)*$/;

/** Reads a head in Latin-1, without the empty line that ends it. Throws BadRequest. */
export function readHead(text: string): RequestHead {
  const firstEnd = text.indexOf("\r\n");
  const first = firstEnd < 0 ? text : text.slice(0, firstEnd);
  const [, method, target, minor] = REQUEST_LINE.exec(first) ?? [];
  if (method === undefined || target === undefined) {
    throw new BadRequest("the request line can't be read as HTTP/1.1");
  }
  const headers = headersIn(text.slice(first.length));
  const isHttp10 = minor === "0";
  const connection = headers.get("connection")?.toLowerCase() ?? "";
  return {
    method,
    target: withoutRawBytes(target),
    headers,
    framing: framingOf(headers, isHttp10),
    isHttp10,
    keepsAlive: isHttp10 ? hasWord(connection, "keep-alive") : !hasWord(connection, "close"),
    awaitsContinue: !isHttp10 && headers.get("expect")?.toLowerCase() === "100-continue",
  };
}

/** From the line end before the first of them. Throws BadRequest. */
function headersIn(lines: string): RequestHeaders {
  if (!HEADER_LINES.test(lines)) throw new BadRequest("a header cannot be read as HTTP/1.1");
  const headers = new RequestHeaders();
  for (let at = 2, count = 0; at < lines.length;) {
    if (++count > MAX_HEADERS) throw new BadRequest(`there are more than ${MAX_HEADERS} headers`);
    const end = lines.indexOf("\r\n", at);
    const colon = lines.indexOf(":", at);
    const line = end < 0 ? lines.length : end;
    headers.add(lines.slice(at, colon).toLowerCase(), trimmed(lines.slice(colon + 1, line)));
    at = line + 2;
  }
  return headers;
}

/**
 * Without the spaces and tabs around it; trim() would take more than those. Not by a pattern for the
 * end, which takes seconds where thousands of spaces are followed by something else.
 */
function trimmed(value: string): string {
  let start = 0, end = value.length;
  while (start < end && isBlank(value.charCodeAt(start))) start++;
  while (end > start && isBlank(value.charCodeAt(end - 1))) end--;
  return value.slice(start, end);
}

function isBlank(code: number): boolean {
  return code === 32 || code === 9;
}

/** Throws where a body could be seen to end in two places, or for no host (RFC 9112, sections 6.3 and 3.2). */
function framingOf(headers: RequestHeaders, isHttp10: boolean): Framing {
  const hosts = headers.count("host");
  if (hosts > 1) throw new BadRequest("there is more than one Host");
  if (hosts === 0 && !isHttp10) throw new BadRequest("there is no Host, which HTTP/1.1 requires");
  const length = headers.get("content-length");
  const coding = headers.get("transfer-encoding");
  if (coding !== null) {
    if (length !== null) throw new BadRequest("the head has Content-Length and Transfer-Encoding");
    if (isHttp10) throw new BadRequest("HTTP/1.0 has no Transfer-Encoding");
    if (coding.toLowerCase() !== "chunked") {
      throw new BadRequest("this Transfer-Encoding is not supported; send the body chunked", 501);
    }
    return { kind: "chunked" };
  }
  if (length === null) return { kind: "none" };
  if (!/^\d{1,15}$/.test(length)) throw new BadRequest("the Content-Length is not a number");
  const bytes = Number(length);
  return bytes === 0 ? { kind: "none" } : { kind: "length", bytes };
}

function hasWord(list: string, word: string): boolean {
  return list === word || list !== "" && list.split(",").some((one) => one.trim() === word);
}

function withoutRawBytes(target: string): string {
  return target.replace(
    /[\x80-\xff]/g,
    (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/**
 * A request's headers, made in a fraction of the time that `Headers` takes: those of a posted event
 * are asked for seven by name, and never again.
 */
export class RequestHeaders implements Pick<Headers, "get" | "has"> {
  readonly #names: string[] = [];
  readonly #values: string[] = [];

  /** The name in lower case. */
  add(name: string, value: string): void {
    this.#names.push(name);
    this.#values.push(value);
  }

  /** All values of that name, as one list. */
  get(name: string): string | null {
    const wanted = name.toLowerCase();
    let found: string | null = null;
    for (let index = 0; index < this.#names.length; index++) {
      if (this.#names[index] !== wanted) continue;
      const value = this.#values[index]!;
      found = found === null ? value : `${found}, ${value}`;
    }
    return found;
  }

  has(name: string): boolean {
    return this.count(name) > 0;
  }

  count(name: string): number {
    return this.#names.filter((known) => known === name).length;
  }

  /** In their order; a name may stand more than once. */
  entries(): [string, string][] {
    return this.#names.map((name, index) => [name, this.#values[index]!]);
  }
}
