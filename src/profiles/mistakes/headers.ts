import type { Headers } from "../../domain/attempt.ts";

/** All values of a header in a request. */
export function headerValues(headers: Headers, name: string): string[] {
  return headers.filter(([given]) => given.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value);
}

/** The first value of a header in a request. */
export function headerValue(headers: Headers, name: string): string | undefined {
  return headerValues(headers, name)[0];
}
