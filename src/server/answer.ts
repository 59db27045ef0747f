import { Buffer } from "node:buffer";
import type { Clock } from "../runtime/clock.ts";

/** An answer that is there as a text: a Response takes longer to make and to read than to send. */
export interface PlainAnswer {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly text: string;
}

export type Answer = Response | PlainAnswer;

/** The same for whoever wants a Response. */
export function toResponse(answer: Answer): Response {
  if (answer instanceof Response) return answer;
  const { status, headers, text } = answer;
  return new Response(text, { status, headers: Object.fromEntries(headers) });
}

/** How an answer goes out on a connection of HTTP/1.1. */
export interface AnswerHead {
  readonly response: Answer;
  readonly keepsAlive: boolean;
  /** Whoever asked in HTTP/1.0 has to be told that the connection goes on. */
  readonly isHttp10?: boolean;
  readonly framing: AnswerFraming;
}

/** How the other end learns where the body ends. */
export type AnswerFraming =
  /** There is none, and none is announced. */
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly bytes: number }
  | { readonly kind: "chunked" }
  /** The connection ends with it. */
  | { readonly kind: "close" };

/** The head, and with it the body where there is one already; into `room`, where that is enough. */
export function encodeAnswer(
  { response, keepsAlive, isHttp10, framing }: AnswerHead,
  { clock, body, room }: { clock: Clock; body?: Uint8Array; room?: Uint8Array },
): Uint8Array {
  let head = `HTTP/1.1 ${response.status} ${reasonOf(response.status)}\r\n`;
  for (const [name, value] of response.headers) {
    if (!IS_OURS.test(name)) head += `${name}: ${value}\r\n`;
  }
  head += `date: ${dateAt(clock)}\r\n`;
  if (framing.kind === "length") head += `content-length: ${framing.bytes}\r\n`;
  if (framing.kind === "chunked") head += "transfer-encoding: chunked\r\n";
  if (!keepsAlive) head += "connection: close\r\n";
  else if (isHttp10) head += "connection: keep-alive\r\n";
  head += "\r\n";
  const length = head.length + (body?.length ?? 0);
  const into = room && room.length >= length ? room : new Uint8Array(length);
  for (let at = 0; at < head.length; at++) into[at] = head.charCodeAt(at);
  if (body) into.set(body, head.length);
  return into.length === length ? into : into.subarray(0, length);
}

/** What says how the answer goes out is the server's to say. */
const IS_OURS = /^(content-length|transfer-encoding|connection|date)$/;

/** A piece of a body whose length nobody knows (RFC 9112, section 7.1). */
export function encodeChunk(piece: Uint8Array): Uint8Array {
  const size = Buffer.from(`${piece.length.toString(16)}\r\n`);
  return Buffer.concat([size, piece, END_OF_CHUNK]);
}

const END_OF_CHUNK = Buffer.from("\r\n");
export const LAST_CHUNK: Uint8Array = Buffer.from("0\r\n\r\n");
export const CONTINUE: Uint8Array = Buffer.from("HTTP/1.1 100 Continue\r\n\r\n");

let date = { second: NaN, text: "" };

function dateAt(clock: Clock): string {
  const now = clock.wall();
  const second = Math.floor(now / 1_000);
  if (second !== date.second) date = { second, text: new Date(now).toUTCString() };
  return date.text;
}

function reasonOf(status: number): string {
  return REASONS[status] ?? "";
}

const REASONS: { readonly [status: number]: string } = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  204: "No Content",
  302: "Found",
  303: "See Other",
  304: "Not Modified",
  400: "Bad Request",
  401: "Unauthorized",
  403: "Forbidden",
  404: "Not Found",
  405: "Method Not Allowed",
  408: "Request Timeout",
  409: "Conflict",
  413: "Content Too Large",
  415: "Unsupported Media Type",
  422: "Unprocessable Content",
  429: "Too Many Requests",
  500: "Internal Server Error",
  501: "Not Implemented",
  503: "Service Unavailable",
};
