import type { Headers } from "../../domain/attempt.ts";

/** All values that a request gives a header. */
export function headerValues(headers: Headers, name: string): string[] {
  return headers.filter(([given]) => given.toLowerCase() === name.toLowerCase())
    .map(([, value]) => value);
}

/** The first of them. */
export function headerValue(headers: Headers, name: string): string | undefined {
  return headerValues(headers, name)[0];
}
