import type { OutgoingRequest } from "./transport.ts";

/**
 * A POST's request line and headers as they go out, one character a byte: `host`, `connection` and
 * `content-length` around the request's own, which keep their order and spelling. Throws for a
 * header that would end the head, or steer the connection: that is a fault of our own.
 */
export function requestHead({ headers, body }: OutgoingRequest, url: URL): string {
  let head = `POST ${url.pathname}${url.search} HTTP/1.1\r\n` +
    `host: ${url.host}\r\nconnection: keep-alive\r\n`;
  for (const [name, value] of headers) {
    if (!TOKEN.test(name) || STEERING.test(name)) {
      throw new TypeError(`cannot send a header named ${JSON.stringify(name)}`);
    }
    // Its value may be a secret.
    if (!VALUE.test(value)) throw new TypeError(`cannot send the value of the header ${name}`);
    head += `${name}: ${value}\r\n`;
  }
  return `${head}content-length: ${body.length}\r\n\r\n`;
}

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const STEERING =
  /^(?:host|connection|content-length|transfer-encoding|te|trailer|upgrade|expect|keep-alive)$/i;
