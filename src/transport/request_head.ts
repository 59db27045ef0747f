import type { OutgoingRequest } from "./transport.ts";

/** How a POST to a URL begins: request line, `host` and `connection`. */
export function requestStart(url: URL): string {
  return `POST ${url.pathname}${url.search} HTTP/1.1\r\n` +
    `host: ${url.host}\r\nconnection: keep-alive\r\n`;
}

/**
 * A POST's request line and headers as they go out, one character a byte: the start and
 * `content-length` around the request's own, which keep their order and spelling. Throws for a
 * header that would end the head, or steer the connection: that is a fault of our own.
 */
export function requestHead({ headers, body }: OutgoingRequest, start: string): string {
  let head = start;
  for (const [name, value] of headers) {
    if (!NAME.test(name)) {
      throw new TypeError(`cannot send a header named ${JSON.stringify(name)}`);
    }
    // Its value may be a secret.
    if (!VALUE.test(value)) throw new TypeError(`cannot send the value of the header ${name}`);
    head += `${name}: ${value}\r\n`;
  }
  return `${head}content-length: ${body.length}\r\n\r\n`;
}

/** A token of RFC 9110, section 5.6.2, that doesn't steer the connection. */
const NAME =
  /^(?!(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|keep-alive)$)[!#$%&'*+.^_`|~0-9a-z-]+$/i;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
