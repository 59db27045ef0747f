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

/** What a machine can lack, in few words that metrics and the log count by. */
export type Lack = "descriptors" | "memory" | "processes" | "ports" | "network" | "name service";

/**
 * Something that this machine lacks kept a request back. The receiver has no part in it, so it is no
 * attempt: the same delivery goes again once the machine has what it needs.
 */
export class MachineFault extends Error {
  override readonly name = "MachineFault";

  constructor(readonly lack: Lack, message: string) {
    super(message);
  }
}

/** Opens outgoing connections; the only thing that does. */
export interface Transport {
  /** Resolves with what came of it, whatever the receiver did; throws a MachineFault, or for a fault of our own. */
  send(request: OutgoingRequest): Promise<Outcome>;
  /** Breaks off what is under way and closes idle connections. */
  close(): Promise<void>;
}
