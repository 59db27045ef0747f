import type { Headers, Outcome } from "../domain/attempt.ts";

/** One POST, as it goes out. */
export interface OutgoingRequest {
  readonly url: string;
  /** In their order and spelling; `Host` and `Content-Length` are the transport's to add. */
  readonly headers: Headers;
  readonly body: Uint8Array<ArrayBuffer>;
  /** Resolve, connect, TLS, request, response head and body together end within this. */
  readonly deadlineMs: number;
  /** CIDR ranges that the address guard lets through beside public addresses. */
  readonly allowNetworks: readonly string[];
  /** Requests with the same key may share connections: the subscription's id. */
  readonly pool: string;
}

/** Opens outgoing connections; the only thing that does. */
export interface Transport {
  /** Resolves with what came of it, whatever the receiver did; throws only for our own faults. */
  send(request: OutgoingRequest): Promise<Outcome>;
  /** Breaks off what is under way and closes idle connections. */
  close(): Promise<void>;
}
